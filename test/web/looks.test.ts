/** The page in light and dark colours, on phone and desktop, and its accessibility. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { readyApp } from '../support/app.js';
import { complaintsOn, launch, NO_BROWSER, onPage, shows } from './browser.js';

/** Opens each view and waits until it shows data. */
const VIEWS: Record<string, (page: Page) => Promise<unknown>> = {
  '': async (page) => {
    await shows(page, '.predictions .first .probability', /%/);
    await page.getByRole('button', { name: 'Sweep' }).click();
    await shows(page, '#sweep-title', /./);
    await shows(page, '[role=status]', /The (same answer|answer changes)/);
    await page.locator('summary').filter({ hasText: 'More' }).click();
  },
  refused: async (page) => {
    await shows(page, '.predictions .first .probability', /%/);
    await page.locator('#dial').press('Home');
    await shows(page, '.problem', /No instance/);
  },
  load: async (page) => {
    await shows(page, '#live-title + p', /Live/);
    await page.locator('#burst-title').waitFor();
  },
  families: async (page) => {
    await page.locator('summary').click();
    await page.locator('td').first().waitFor();
  },
};

const SCREENS = {
  'desktop, light': { colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  'desktop, dark': { colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  'phone, light': { colorScheme: 'light', viewport: { width: 360, height: 740 } },
  'phone, dark': { colorScheme: 'dark', viewport: { width: 360, height: 740 } },
} as const;

if (NO_BROWSER) t.pass('no browser', { skip: NO_BROWSER });
else await tests();

async function tests() {
  const browser = await launch(t);
  const { url } = await readyApp(t);
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core'), 'utf8');

  for (const [screen, options] of Object.entries(SCREENS)) {
    t.test(screen, async (t) => {
      await onPage(t, browser, url, { ...options, statuses: [422] }, async (page) => {
        for (const [view, prepare] of Object.entries(VIEWS)) {
          await page.goto(`${url}/#${view === 'refused' ? '' : view}`);
          await page.reload(); // another hash alone is the same page
          await prepare(page);
          await looksRight(t, page, options);
          await page.evaluate(axe);
          t.same(await violations(page), [], `${view}: axe finds nothing`);
        }
      });
    });
  }

  t.test('every control can be reached by keyboard, with a visible focus', async (t) => {
    await onPage(t, browser, url, {}, async (page) => {
      await shows(page, '.predictions .first .probability', /%/);
      const reached: string[] = [];
      for (let n = 0; n < 25; n++) {
        await page.keyboard.press('Tab');
        const [name, outline] = await page.evaluate(() => {
          const at = document.activeElement as HTMLElement;
          if (at === document.body) return ['', ''] as const;
          const seen = at.matches('[type=radio]') ? (at.nextElementSibling as HTMLElement) : at;
          return [
            at.id || at.textContent || at.getAttribute('value') || at.tagName,
            getComputedStyle(seen).outlineStyle,
          ] as const;
        });
        if (name === '') break;
        t.not(outline, 'none', name);
        reached.push(name);
      }
      for (const wanted of ['Load', 'Families', 'API', 'Choose a file', 'dial', 'Copy', 'Sweep']) {
        t.ok(
          reached.some((name) => name.includes(wanted)),
          `${wanted} among ${reached.join(', ')}`,
        );
      }
    });
  });

  t.test('errors, policy violations and foreign requests of a page are detected', async (t) => {
    const provoke: [string, RegExp][] = [
      ["document.body.setAttribute('style', 'color: red')", /style-src-attr/],
      ["document.body.append(Object.assign(document.createElement('iframe'), { src: '/docs' }))", /frame-src/],
      ["try { document.body.innerHTML = '<b>x</b>' } catch {}", /require-trusted-types-for|TrustedHTML/],
      ["fetch('http://127.0.0.1:1/').catch(() => {})", /connect-src/],
      ["setTimeout(() => { throw new Error('by itself') })", /by itself/],
      ["fetch('/nothing')", /status of 404/],
    ];
    for (const [script, expected] of provoke) {
      const complaints = await complaintsOn(browser, url, {}, async (page) => {
        await page.evaluate(`${script}; new Promise((resolve) => setTimeout(resolve, 200))`);
      });
      t.match(complaints.join(' '), expected, script);
    }
  });

  t.test('a change of view is announced to screen readers', async (t) => {
    await onPage(t, browser, url, {}, async (page) => {
      await shows(page, '.predictions .first .probability', /%/);
      t.equal(await page.title(), 'dimmer');
      await page.getByRole('link', { name: 'Families' }).click();
      await shows(page, 'h1', /What is served here/);
      t.equal(await page.title(), 'Families – dimmer');
      t.equal(await page.evaluate(() => document.activeElement?.tagName), 'MAIN');
      t.equal(await page.locator('nav [aria-current=page]').textContent(), 'Families');
    });
  });

  t.test('the pages of the API work under their policy, with the name of dimmer', async (t) => {
    await onPage(t, browser, `${url}/docs`, {}, async (page) => {
      await page.locator('.topbar-wrapper img').waitFor();
      t.match(await page.locator('.topbar-wrapper img').getAttribute('src'), /^data:image\/svg\+xml/);
      t.equal(await page.title(), 'dimmer: the API');
      await page.locator('.opblock-summary-path').first().waitFor();
    });
  });
}

/** Checks that a page fits the width of the screen and has the requested colour scheme. */
async function looksRight(t: Test, page: Page, { viewport, colorScheme }: (typeof SCREENS)[keyof typeof SCREENS]) {
  const [is, room] = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return [scrollWidth, clientWidth] as const;
  });
  t.ok(room <= viewport.width && is <= room, `${is} pixels in ${room}: nothing to scroll sideways`);
  const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const lightness = Math.max(...(ground.match(/\d+/g) ?? []).map(Number));
  t.ok(colorScheme === 'dark' ? lightness < 80 : lightness > 200, ground);
}

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** Violations that axe finds. Its text is evaluated, as the content security policy forbids a script element. */
const violations = async (page: Page) => {
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } };
    return (await axe.run()).violations;
  });
  return found.map(inWords);
};

const inWords = ({ id, impact, nodes }: Violation) =>
  `${id} (${impact}): ${nodes.map((n) => `${n.html} ${n.failureSummary}`).join(' | ')}`;
