import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import t, { type Test } from 'tap';
import { readConfig } from '../src/config.js';
import type { Family } from '../src/family/instance.js';
import { loadFamilies } from '../src/family/load.js';
import { hostLatency, type MeasuredHost } from '../src/host-latency.js';
import { LatencyModel } from '../src/latency/model.js';
import type { Batch, Ran } from '../src/runtime/runtime.js';
import { createLogger } from '../src/telemetry/logger.js';
import { FAMILIES, temporaryFolder } from './support/app.js';
import { FakeClock } from './support/fake-clock.js';
import { FakeRuntime } from './support/fake-runtime.js';

/** A fake engine thread on which a run takes a fixed number of ms for each picture. */
class TimedRuntime extends FakeRuntime {
  readonly clock = new FakeClock();
  cpuKnown = false;
  slowedBy = (_key: string) => 1;
  readonly #ms: number;
  readonly #int8Ms: number;

  constructor(ms: number, int8Ms = ms) {
    super();
    this.#ms = ms;
    this.#int8Ms = int8Ms;
  }

  override async onEveryThread(work: (run: (batch: Batch) => Promise<Ran>) => Promise<void>): Promise<void> {
    await work(async ({ key, size }) => {
      const ms = (key.endsWith('-i8') ? this.#int8Ms : this.#ms) * size;
      await this.clock.pass(ms * this.slowedBy(key));
      return { logits: new Float32Array(size * this.classes), cpuMs: this.cpuKnown ? ms : undefined };
    });
  }
}

function hostOf(CACHE_DIR: string, runtime: TimedRuntime, families: readonly Family[], logger: Logger): MeasuredHost {
  const sample = async () => new Uint8Array();
  const decoder = { sample, decode: async () => ({ pixels: new Uint8Array(), ms: 2 }) };
  const { clock } = runtime;
  return { config: readConfig({ CACHE_DIR }), clock, logger, runtime, decoder, families, shared: new Map() };
}

/** Measures or reads the latency as a start does; returns the log messages. */
async function start(CACHE_DIR: string, ms = 1): Promise<string[]> {
  const runtime = new TimedRuntime(ms);
  const { clock } = runtime;
  const lines: string[] = [];
  const note = (...args: unknown[]) => lines.push(String(args.at(-1)));
  const logger = Object.assign(createLogger('silent'), { info: note, warn: note });
  const families = await loadFamilies(FAMILIES);
  const { baselines } = await hostLatency(hostOf(CACHE_DIR, runtime, families, logger));
  const model = LatencyModel.from(baselines, () => clock.now());
  const all = families.flatMap((f) => f.instances);
  const found = all.map((i) => model.run(i.key, 1).cpuMs);
  if (ms < 5000)
    t.same(
      found,
      all.map(() => ms),
    );
  else
    t.ok(
      all.every((a, n) => all.every((b, m) => a.flops <= b.flops || (found[n] as number) > (found[m] as number))),
      'by FLOPs',
    );
  t.equal(model.decode('tiny', 'JPEG', 0).cpuMs, 2);
  return lines;
}
const MEASURING = /^measuring the latency/;

t.test('the first start measures and keeps, the second reads', async (t) => {
  const folder = join(temporaryFolder(t), 'cache');
  t.match((await start(folder))[0], MEASURING);
  t.equal(readdirSync(folder).length, 1);
  t.same(await start(folder), []);
});

t.test('a cache that cannot be trusted is reported and ignored', async (t) => {
  const folder = join(temporaryFolder(t), 'cache');
  await start(folder);
  writeFileSync(join(folder, readdirSync(folder)[0] as string), '{}');
  const [reason, measuring] = await start(folder);
  t.match(reason, /kept by an earlier start is not used/);
  t.match(measuring, MEASURING);
  t.same(await start(folder), [], 'and it is written anew');
});

t.test('wherever nothing can be kept, the start goes on and says so', async (t: Test) => {
  const open = temporaryFolder(t);
  chmodSync(open, 0o777);
  const file = join(temporaryFolder(t), 'file');
  writeFileSync(file, '');
  const folders = [open, file, join(file, 'x'), `/${'n'.repeat(300)}`];
  if (process.platform === 'linux') folders.push('/proc/x', '/dev/null/x');
  for (const folder of folders) t.match((await start(folder)).at(-1), /cannot be kept/, folder.slice(0, 40));
  t.same(readdirSync(open), []);
});

t.test('what there was no time to measure is measured at the next start', async (t) => {
  const folder = join(temporaryFolder(t), 'cache');
  t.match((await start(folder, 5000)).at(-1), /too busy.*the next start measures again/);
  t.match((await start(folder, 1))[0], MEASURING);
  t.same(await start(folder, 1), [], 'until it can be believed');
});

t.test('which int8 instances are chosen from does not change when times are measured again', async (t) => {
  const folder = join(temporaryFolder(t), 'cache');
  const twins = await loadFamilies(join(FAMILIES, '..', 'twins'));
  const fasterTwins = async (int8Ms: number, ms: number) => {
    const runtime = new TimedRuntime(ms, int8Ms);
    return (await hostLatency(hostOf(folder, runtime, twins, createLogger('silent')))).fasterTwins;
  };
  const first = await fasterTwins(1000, 5000);
  t.equal(first.size, 7);
  t.same(await fasterTwins(3, 1), first, 'though int8 is slow now');
});

t.test('if CPU time is known, a busy host measures the same as an idle one, and is not measured again', async (t) => {
  const folder = join(temporaryFolder(t), 'cache');
  const families = await loadFamilies(FAMILIES);
  const measured = async (slowedBy: () => number) => {
    const runtime = Object.assign(new TimedRuntime(3), { cpuKnown: true, slowedBy });
    return hostLatency(hostOf(folder, runtime, families, createLogger('silent')));
  };
  let n = 0;
  const busy = await measured(() => (n++ % 3 ? 3 : 1));
  t.ok(busy.settled);
  t.same(busy.baselines.runSpread, [], 'but how far runs differ is not believed');
  for (const { aMs, bMs } of Object.values(busy.baselines.runs)) t.ok(Math.abs(aMs + bMs - 3) < 1e-9);
  t.same(await measured(() => 9), busy, 'and nothing is measured again');
});

t.test('times missing because networks are slow are estimated and kept; on a busy host measured again', async (t) => {
  const families = await loadFamilies(FAMILIES);
  const settled = async (slowedBy: () => number) => {
    const runtime = Object.assign(new TimedRuntime(1500), { cpuKnown: true, slowedBy });
    const folder = join(temporaryFolder(t), 'cache');
    return (await hostLatency(hostOf(folder, runtime, families, createLogger('silent')))).settled;
  };
  t.equal(await settled(() => 1), true);
  t.equal(await settled(() => 2), false);
});

t.test('runs are measured again if the weights are stored differently', async (t) => {
  const folder = join(temporaryFolder(t), 'cache');
  const families = await loadFamilies(FAMILIES);
  const shared = new Map(families.map((f) => [f.name, {}]));
  let ms = 0;
  const measured = async (change: Partial<MeasuredHost>) => {
    ms += 1;
    const host = hostOf(folder, new TimedRuntime(ms), families, createLogger('silent'));
    const { baselines } = await hostLatency({ ...host, ...change });
    const [{ aMs, bMs } = { aMs: Number.NaN, bMs: Number.NaN }] = Object.values(baselines.runs);
    return Math.round(aMs + bMs);
  };
  const config = readConfig({ CACHE_DIR: folder, WEIGHTS: 'folded' });
  t.same([await measured({}), await measured({ shared }), await measured({ shared, config })], [1, 2, 3]);
  t.same([await measured({}), await measured({ shared }), await measured({ shared, config })], [1, 2, 3]);
});
