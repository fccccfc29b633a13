/** The page's live view of the service, and its burst of requests. */
import t from 'tap';
import { burst, MOST_PICTURES, type Outcome, PHASES, schedule, slowOf, sumsOf } from '../../web/src/burst.js';
import { readyApp } from '../support/app.js';
import { launch, NO_BROWSER, onPage, shows } from './browser.js';

const figure = (name: string) => `.tile:has(dt:text-is("${name}")) .figure`;

if (NO_BROWSER) t.pass('no browser', { skip: NO_BROWSER });
else await tests();

async function tests() {
  const browser = await launch(t);

  t.test('a burst is seen live, compared, and can be stopped', async (t) => {
    const { url } = await readyApp(t);
    // A burst asks for more than a busy host can do.
    await onPage(t, browser, `${url}/#load`, { statuses: [422, 503, 504] }, async (page) => {
      await shows(page, figure('Pictures a second'), /^0$/);
      await shows(page, '#live-title + p', /Live/);
      await page.getByRole('button', { name: 'Replay a burst' }).click();
      await shows(page, figure('Pictures a second'), /^[1-9]\d*$/);
      await shows(page, figure('Promises kept'), /%/);
      await shows(page, figure('Delivered accuracy'), /%/);
      await shows(page, figure('Delivered cost'), /%/);
      await shows(page, 'section', /p0\d-r\d+ \d+|full \d+/);
      t.ok((await page.locator('.mix rect').count()) > 0, 'which instances ran');
      await shows(page, 'tbody th', /adaptive/);
      t.equal(await page.locator('.lines .promise').count(), 1);
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByRole('button', { name: 'Replay a burst' }).waitFor();
    });
  });

  t.test('no burst is offered to those who come by a proxy, unless LOAD_BUTTON says so', async (t) => {
    const extraHTTPHeaders = { 'X-Forwarded-For': '203.0.113.9' };
    const { url } = await readyApp(t);
    await onPage(t, browser, `${url}/#load`, { extraHTTPHeaders }, async (page) => {
      await shows(page, 'main', /from any with LOAD_BUTTON=on/);
      t.equal(await page.getByRole('button', { name: 'Replay a burst' }).count(), 0);
    });
    const open = await readyApp(t, { LOAD_BUTTON: 'on' });
    await onPage(t, browser, `${open.url}/#load`, { extraHTTPHeaders }, async (page) => {
      await page.getByRole('button', { name: 'Replay a burst' }).waitFor();
    });
  });

  t.test('a lost connection is reported, and opened again', async (t) => {
    const { app, url } = await readyApp(t);
    await onPage(t, browser, `${url}/#load`, { statuses: [503] }, async (page) => {
      await shows(page, '#live-title + p', /Live/);
      app.state.draining = true;
      app.state.watchers.close();
      await shows(page, '.problem', /The service is shutting down/);
      app.state.draining = false;
      await shows(page, '#live-title + p', /Live/);
    });
  });
}

const instance = (id: string, share: number, ms: number) =>
  ({
    id,
    p: id === 'full' ? 0 : 1,
    precision: 'float32',
    share,
    accuracy: 0.9,
    served: true,
    latencyMs: { '1': ms },
  }) as never;
const planOf = (ms: number, load: number) => ({
  model: {
    name: 'x',
    input: { height: 8, width: 8 },
    instances: [instance('p01-r500', 0.5, ms / 2), instance('full', 1, ms)],
  } as never,
  engineThreads: 2,
  load,
  promiseMs: 50,
});

t.test('a burst is bounded in time and in pictures, whatever is asked for', (t) => {
  const seconds = PHASES.reduce((sum, phase) => sum + phase.seconds, 0);
  for (const [ms, load] of [
    [0.001, 4],
    [0.1, 1],
    [10, 1.5],
    [500, 0.5],
  ] as const) {
    const all = schedule(planOf(ms, load));
    t.ok(all.length > 0);
    t.ok(all.reduce((sum, r) => sum + r.pictures, 0) <= MOST_PICTURES, `${ms} ms, ${load}`);
    t.ok(all.every((r) => r.atS < seconds && r.pictures >= 1));
  }
  const [calm, peak] = [
    schedule(planOf(10, 1)).filter((r) => r.atS < 2),
    schedule(planOf(10, 1)).filter((r) => r.atS >= 2 && r.atS < 7),
  ];
  const rate = (of: typeof calm, s: number) => of.reduce((sum, r) => sum + r.pictures, 0) / s;
  t.ok(Math.abs(rate(peak, 5) - 200) < 20, 'as many as the full network can do');
  t.ok(Math.abs(rate(calm, 2) - 60) < 12, 'and fewer in calm');
  t.end();
});

t.test('the summary of a burst', (t) => {
  const bin = { latencies: [10, 20, 90], asked: 4, answered: 3, inTime: 2, accuracy: 2.4, cost: 1.5 };
  const nothing = { latencies: [], asked: 0, answered: 0, inTime: 0, accuracy: 0, cost: 0 };
  const outcome: Outcome = { bins: [bin, nothing] };
  const sums = sumsOf(outcome);
  t.equal(sums.inTime, 0.5, 'of all that were asked');
  t.equal(sums.cost, 0.5, 'of those that were answered');
  t.ok(Math.abs((sums.accuracy ?? 0) - 0.8) < 1e-9);
  t.ok(Math.abs(sums.useful - 0.4) < 1e-9, 'in time and right, of all');
  t.same(slowOf(outcome), [90, null]);
  t.match(sumsOf({ bins: [nothing] }), { inTime: 0, accuracy: null, cost: null, useful: 0 });
  t.end();
});

t.test('a burst that is refused for all requests alike ends at once', async (t) => {
  const { fetch } = globalThis;
  t.teardown(() => Object.assign(globalThis, { fetch }));
  let asked = 0;
  globalThis.fetch = async () => {
    asked += 1;
    return Response.json({ title: 'The quota is used up', detail: 'x', status: 429 }, { status: 429 });
  };
  const { refusal } = await burst(planOf(10, 1), undefined, [new Blob(['x'])], new AbortController().signal, () => {});
  t.equal(refusal?.problem.title, 'The quota is used up');
  t.ok(asked < 5, `${asked} requests`);
});
