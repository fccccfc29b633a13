/** The page's first view, with one picture and the dial, in a real browser with real networks. */
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { createApp, picture, readyApp } from '../support/app.js';
import { FakeRuntime } from '../support/fake-runtime.js';
import { launch, NO_BROWSER, type Opened, onPage, shows } from './browser.js';

const ANSWER = '.predictions .first .probability';
const instance = '.facts div:nth-child(3) dd:nth-of-type(1)';

if (NO_BROWSER) t.pass('skipped', { skip: NO_BROWSER });
else await tests();

/** Waits for a request whose budget matches; earlier requests may have others. */
const asksFor = (page: Page, budget: RegExp) =>
  page.waitForRequest((request) => budget.test(request.headers()['inference-budget'] ?? ''));

async function tests() {
  const browser = await launch(t);
  const { app, url } = await createApp(t);
  await app.start();
  const test = (name: string, options: Opened, run: (t: Test, page: Page) => Promise<void>) =>
    t.test(name, (t) => onPage(t, browser, url, options, (page) => run(t, page)));

  test('a sample is classified at load, and the layout does not shift', {}, async (t, page) => {
    await shows(page, 'h1', /One picture, many costs/);
    await shows(page, ANSWER, /%/);
    t.match(await page.locator('.reason').textContent(), /most accurate within cost 0\.6/i);
    t.match(await page.locator('[role=status].hidden').first().textContent(), /sure, for \d+ % of the cost/);
    const shift = await page.evaluate(
      () =>
        new Promise<number>((resolve) => {
          let sum = 0;
          const add = (list: PerformanceObserverEntryList) => {
            for (const entry of list.getEntries()) sum += (entry as unknown as { value: number }).value;
          };
          new PerformanceObserver(add).observe({ type: 'layout-shift', buffered: true });
          setTimeout(() => resolve(sum), 100);
        }),
    );
    t.ok(shift < 0.1, `layout shift ${shift}: what is good by web.dev/articles/cls`);
  });

  test(
    'pictures are dropped, pasted and picked, and their bytes are what is sent',
    { statuses: [415] },
    async (t, page) => {
      await shows(page, ANSWER, /%/);
      const give = async (event: 'drop' | 'paste', name: string, bytes: Buffer) =>
        page.evaluate(
          ([event, name, base64]) => {
            const transfer = new DataTransfer();
            const bytes = Uint8Array.from(atob(base64 as string), (c) => c.charCodeAt(0));
            transfer.items.add(new File([bytes], name as string, { type: 'image/png' }));
            const target = event === 'drop' ? document.querySelector('.picker') : document;
            const init = { bubbles: true, cancelable: true };
            target?.dispatchEvent(
              event === 'drop'
                ? new DragEvent('drop', { ...init, dataTransfer: transfer })
                : new ClipboardEvent('paste', { ...init, clipboardData: transfer }),
            );
          },
          [event, name, bytes.toString('base64')],
        );
      await give('drop', "it's mine.png", await picture());
      await page.getByAltText("it's mine.png").waitFor(); // the answer about the sample before is there already
      await page.waitForFunction(() =>
        document.querySelector<HTMLTextAreaElement>('.copy textarea')?.value.includes('mine'),
      );
      await shows(page, ANSWER, /%/);
      t.equal(await page.locator('.preview img').getAttribute('alt'), "it's mine.png");
      t.match(await page.locator('.copy textarea').inputValue(), `'@it'\\''s mine.png'`, 'quoted for a shell');
      await give('drop', 'text.png', Buffer.from('no picture'));
      await shows(page, '.problem', /Not a picture of a kind that is read/);
      await shows(page, '.preview', /cannot show it/);
      await give('paste', 'pasted.png', await picture());
      await shows(page, ANSWER, /%/);
      await page.setInputFiles('input[aria-label="Picture file"]', {
        name: 'broken.gif',
        mimeType: 'image/gif',
        buffer: Buffer.from('neither'),
      });
      await shows(page, '.problem', /What to do/);
    },
  );

  test('the dial turns by mouse and by keyboard', {}, async (t, page) => {
    await shows(page, instance, /p0|full/);
    const dial = page.locator('#dial');
    const box = await dial.boundingBox();
    if (!box) throw new Error('the dial is not there');
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 2, box.y + box.height / 2, { steps: 5 });
    await page.mouse.up();
    await shows(page, '.big', /^100\.0 %$/);
    await shows(page, instance, /^full$/);
    await dial.focus();
    await page.keyboard.press('ArrowLeft');
    await shows(page, '.big', /^99\.\d %$/);
    t.equal(await dial.getAttribute('aria-valuetext'), await page.locator('.big').textContent());
    for (let n = 0; n < 6; n++) await page.keyboard.press('PageDown');
    await page.waitForFunction((at) => document.querySelector(at)?.textContent !== 'full', instance);
    t.match(await page.locator('.point.chosen title').textContent(), /^p\d\d-r\d+: /, 'and the plot shows where it is');
  });

  test(
    'each kind of budget, and several at once',
    { statuses: [422, 503, 504] /* a busy host cannot keep every latency */ },
    async (t, page) => {
      await shows(page, ANSWER, /%/);
      for (const [name, budget] of [
        ['FLOPs', /^flops=\d+$/],
        ['Latency', /^latency=[\d.]+$/],
        ['Accuracy', /^accuracy=0\.\d{1,3}$/],
        ['Cost', /^cost=0\.\d{1,3}$/],
      ] as const) {
        const asked = asksFor(page, budget);
        await page.getByRole('radio', { name }).check({ force: true });
        t.ok(await asked, name);
      }
      await page.locator('summary').filter({ hasText: 'More' }).click();
      await page.getByRole('checkbox', { name: /Latency/ }).check();
      const asked = asksFor(page, /^cost=0\.\d+, latency=[\d.]+, strict=\?0$/);
      await page.getByRole('checkbox', { name: /Never refuse/ }).check();
      t.ok(await asked);
      await page.locator('.bound select').selectOption('full');
      await shows(page, '.reason', /pinned by the request/i);
    },
  );

  test(
    'a refusal is in the words of the service, and its values can be taken',
    { statuses: [422] },
    async (t, page) => {
      await shows(page, ANSWER, /%/);
      const height = async () => (await page.locator('.answer').boundingBox())?.height;
      const before = await height();
      await page.locator('#dial').press('Home');
      const text = await shows(page, '.problem', /No instance can meet this budget/);
      t.equal(await height(), before, 'nothing moves');
      t.match(text, /No instance is within cost 0\.\d+/);
      t.match(text, /Expected: .*cost=/);
      t.match(text, /What to do: take one of these values/);
      await page.getByRole('button', { name: /^Take cost=/ }).click();
      await shows(page, ANSWER, /%/);
      await page.locator('#dial').press('Home');
      await page.getByRole('button', { name: 'Come as near as possible' }).click();
      await shows(page, '.reason', /budget not met/);
    },
  );

  test('a newer request replaces the one before, which is aborted', {}, async (t, page) => {
    await shows(page, ANSWER, /%/);
    const failed: string[] = [];
    page.on('requestfailed', (r) => failed.push(r.headers()['inference-budget'] ?? ''));
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    await page.route('**/classify?**', async (route) => {
      if (route.request().headers()['inference-budget'] === 'cost=1') await held;
      await route.continue().catch(() => {}); // it is gone
    });
    const first = page.waitForRequest((r) => r.headers()['inference-budget'] === 'cost=1');
    await page.locator('#dial').press('End');
    await first;
    const before = page.waitForResponse((r) => r.request().method() === 'POST');
    await page.locator('#dial').fill('120');
    await before;
    letGo();
    await page.waitForFunction((at) => document.querySelector(at)?.textContent !== 'full', instance);
    t.same(failed, ['cost=1']);
    await page.unrouteAll({ behavior: 'wait' });
  });

  test('the sweep asks every instance, and leads back to the dial', {}, async (t, page) => {
    await shows(page, ANSWER, /%/);
    await page.getByRole('button', { name: 'Sweep' }).click();
    await shows(page, '#sweep-title ~ p, .card p', /The (same answer|answer changes)/);
    const served = app.state.service.catalog.family(undefined).instances;
    t.equal(await page.locator('.sweep li').count(), served.length);
    await page.locator('.sweep button').first().click();
    const cheapest = [...served].sort((a, b) => a.flops - b.flops)[0];
    await shows(page, instance, new RegExp(`^${cheapest?.id}$`));
  });

  test('the command line can be copied', { permissions: ['clipboard-read', 'clipboard-write'] }, async (t, page) => {
    await shows(page, ANSWER, /%/);
    await page.getByRole('button', { name: 'Copy' }).click();
    await shows(page, '.copy', /Copied/);
    t.equal(
      await page.evaluate(() => navigator.clipboard.readText()),
      `curl -s ${url}/samples/rocket.jpg | curl --data-binary @- -H 'Inference-Budget: cost=0.6' '${url}/classify?model=tiny'`,
    );
  });

  test('a service that wants a key is given one, which is kept nowhere', { statuses: [401] }, async (t, page) => {
    await page.route('**/classify?**', (route) => {
      if (route.request().headers()['x-api-key'] === 'sesame') return route.continue();
      const body = { title: 'A key is needed', status: 401, detail: 'no key', expected: 'a key', action: 'send one' };
      return route.fulfill({ status: 401, contentType: 'application/problem+json', body: JSON.stringify(body) });
    });
    await page.locator('#dial').press('End');
    await shows(page, '.problem', /A key is needed/);
    await page.getByLabel('This service wants an API key').fill('sesame');
    await page.keyboard.press('Enter');
    await shows(page, ANSWER, /%/);
    t.equal(await page.locator('.key-form').count(), 0);
    const kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]);
    t.same(kept, [0, 0, '']);
    await page.unrouteAll({ behavior: 'wait' });
  });

  t.test('a service that requires a key can be used with the page alone', async (t) => {
    const key = 'sesame-0123456789';
    const closed = await readyApp(t, { API_KEYS: key, REQUIRE_API_KEY: 'true' });
    const asked: string[] = [];
    await onPage(t, browser, closed.url, { statuses: [401] }, async (page) => {
      page.on('request', (request) => asked.push(request.url()));
      await shows(page, '.problem', /An API key is needed/);
      const enter = async (text: string) => {
        await page.getByLabel('This service wants an API key').fill(text);
        await page.keyboard.press('Enter');
      };
      await enter('a-wrong-one');
      await shows(page, '.problem', /not known/);
      await enter(key);
      await shows(page, ANSWER, /%/);
      t.equal(await page.getByRole('link', { name: 'API' }).count(), 0, 'a link cannot bring a key');
      const line = await page.locator('.copy textarea').inputValue();
      t.match(line, '-H "X-Api-Key: $DIMMER_API_KEY"', 'the line for a shell needs one, too');
      t.notMatch(line, key);
      await page.getByRole('link', { name: 'Load' }).click();
      await shows(page, '#live-title + p', /Live/);
      await page.getByRole('link', { name: 'Families' }).click();
      await shows(page, 'main', /tiny/);
      t.notMatch([page.url(), ...asked].join(), /sesame/, 'it is in no address');
    });
  });

  t.test('a service that is not ready is waited for', async (t) => {
    const late = await createApp(t, {}, { startRuntime: async () => new FakeRuntime({ held: false }) });
    await onPage(t, browser, late.url, { statuses: [503] }, async (page) => {
      await shows(page, '.problem', /The service is not ready/);
      await late.app.start();
      await shows(page, ANSWER, /%/);
    });
  });
}
