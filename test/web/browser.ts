/** Runs tests on pages of Debian's Chromium, and fails them if the page reports an error. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import type { Test } from 'tap';
import { CHROMIUM } from '../support/chromium.js';

export { NO_BROWSER } from '../support/chromium.js';

/** Time limit of each step on a page, long enough for a busy host. */
const PATIENCE_MS = 90_000;

export async function launch(t: Test): Promise<Browser> {
  // No sandbox: CI runs as root, and the pages are ours.
  const browser = await chromium.launch({ executablePath: CHROMIUM as string, args: ['--no-sandbox'] });
  t.teardown(() => browser.close());
  return browser;
}

export interface Opened extends BrowserContextOptions {
  /** Statuses that the test provokes; the browser writes each to its console. */
  readonly statuses?: readonly number[];
}

/**
 * Runs on a page of its own. Anything on its console, any violation of the content security policy and any request to
 * another host fails the test.
 */
export async function onPage(
  t: Test,
  browser: Browser,
  url: string,
  options: Opened,
  run: (page: Page) => Promise<void>,
): Promise<void> {
  t.same(await complaintsOn(browser, url, options, run), [], 'no error, no violation, no request to elsewhere');
}

/** Runs on a page of its own, and returns its complaints instead of failing. */
export async function complaintsOn(
  browser: Browser,
  url: string,
  { statuses = [], ...settings }: Opened,
  run: (page: Page) => Promise<void>,
): Promise<string[]> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...settings });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const complaints = await complaintsOf(page, url, statuses);
  try {
    await page.goto(url);
    await run(page);
  } finally {
    await context.close();
  }
  return complaints;
}

/** Collects errors, policy violations and foreign requests of a page while it runs. */
async function complaintsOf(page: Page, url: string, statuses: readonly number[]): Promise<string[]> {
  const complaints: string[] = [];
  page.on('console', (message) => {
    const provoked = statuses.some((s) => message.text().includes(`responded with a status of ${s}`));
    if (!provoked && ['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.exposeFunction('reportViolation', (text: string) => complaints.push(text));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      (globalThis as unknown as { reportViolation(text: string): void }).reportViolation(
        `${event.violatedDirective}: ${event.blockedURI}`,
      );
    });
  });
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== 'blob:' && origin !== new URL(url).origin) complaints.push(`asked ${request.url()}`);
  });
  return complaints;
}

/** Waits until the text of an element matches; returns the text. */
export async function shows(page: Page, selector: string, expected: RegExp): Promise<string> {
  const place = page.locator(selector).filter({ hasText: expected }).first();
  await place.waitFor();
  return (await place.textContent()) ?? '';
}
