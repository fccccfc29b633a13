/**
 * docs/page.webp, the picture of the page in README.md: the dial is turned from the cheapest instance to the full network.
 *
 *   npm run build && npm start                       # a service that has nothing else to do
 *   npm run pictures [-- --url http://localhost:8080 --screens FOLDER]
 *
 * --screens: also each view, on a desktop and on a phone, light and dark, as PNG files to be looked at.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import sharp from 'sharp';
import { CHROMIUM, NO_BROWSER } from '../test/support/chromium.js';
import { ROOT } from './commands.js';

/** Places of the dial, which has 200: each buys another instance of imagenet1k, and most another answer. */
const PLACES = [24, 34, 50, 80, 112, 200];
/** ms that each is shown: long enough to read the label and what it cost. */
const SHOWN_MS = 1500;
/** What moves for ever keeps people from reading what is beside it. */
const TIMES = 3;
/** In CSS pixels, wide enough for two columns; README shows it somewhat smaller. */
const WIDTH = 1120;
/** Below it text becomes hard to read; above it the file gets larger for nothing that is seen. */
const QUALITY = 70;
/** Where the page is said to be, wherever the service is: the page shows a command with its own address. */
const SHOWN_AT = 'localhost:8080';

const SCREENS: Record<string, BrowserContextOptions> = {
  'desktop-light': { colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  'desktop-dark': { colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  'phone-light': { colorScheme: 'light', viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 },
  'phone-dark': { colorScheme: 'dark', viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 },
};

/** What there is to see of each view, by its hash. */
const VIEWS: Record<string, (page: Page) => Promise<unknown>> = {
  picture: async (page) => {
    await answered(page);
    await page.getByRole('button', { name: 'Sweep' }).click();
    await page.getByText(/The (same answer|answer changes)/).waitFor();
  },
  load: (page) => page.getByText('Live, a sample a second').waitFor(),
  families: (page) => page.locator('.family-card').last().waitFor(),
};

const { url, screens } = parseArgs({
  options: { url: { type: 'string', default: `http://${SHOWN_AT}` }, screens: { type: 'string' } },
}).values;

if (CHROMIUM === undefined) throw new Error(String(NO_BROWSER));
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  // No sandbox, as in the tests: CI runs as root, and the page is ours.
  args: ['--no-sandbox', `--host-resolver-rules=MAP ${SHOWN_AT} ${new URL(url).host}`],
});
try {
  const frames = await turnedDial(browser);
  const { size } = await sharp(frames, { join: { animated: true } })
    .webp({ quality: QUALITY, effort: 6, minSize: true, loop: TIMES, delay: frames.map(() => SHOWN_MS) })
    .toFile(`${ROOT}docs/page.webp`);
  console.log(`docs/page.webp: ${size} bytes`);
  if (screens !== undefined) await lookAtAll(browser, screens);
} finally {
  await browser.close();
}

async function turnedDial(browser: Browser): Promise<Buffer[]> {
  const page = await open(browser, '', { viewport: { width: WIDTH, height: 900 }, colorScheme: 'light' });
  await answered(page);
  const frames: Buffer[] = [];
  for (const place of PLACES) {
    const answer = page.waitForResponse((response) => new URL(response.url()).pathname === '/classify');
    await page.locator('#dial').fill(String(place));
    await answer;
    await page.locator('.answer[aria-busy=false]').waitFor();
    await page.locator('#dial').blur(); // or a frame around it would be in the picture
    const columns = await page.locator('.columns').boundingBox();
    if (!columns) throw new Error('the page has no columns');
    const height = Math.ceil(columns.y + columns.height) + 16;
    frames.push(await page.screenshot({ fullPage: true, clip: { x: 0, y: 0, width: WIDTH, height } }));
  }
  await page.context().close();
  return frames;
}

async function lookAtAll(browser: Browser, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const [screen, options] of Object.entries(SCREENS)) {
    for (const [view, prepare] of Object.entries(VIEWS)) {
      const page = await open(browser, view === 'picture' ? '' : `#${view}`, options);
      await prepare(page);
      await page.screenshot({ fullPage: true, path: join(folder, `${view}-${screen}.png`) });
      await page.context().close();
    }
  }
}

/** Without transitions, which a picture would catch half-way. */
async function open(browser: Browser, hash: string, options: BrowserContextOptions): Promise<Page> {
  const context = await browser.newContext({ ...options, reducedMotion: 'reduce' });
  const page = await context.newPage();
  await page.goto(`http://${SHOWN_AT}/${hash}`);
  return page;
}

async function answered(page: Page): Promise<void> {
  await page.locator('.predictions .first .probability').filter({ hasText: '%' }).waitFor();
}
