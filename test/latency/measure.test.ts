import { join } from 'node:path';
import t from 'tap';
import type { Family } from '../../src/family/instance.js';
import { loadFamily } from '../../src/family/load.js';
import { baselinesOf, byFlops, ENOUGH } from '../../src/latency/baselines.js';
import {
  type Decoding,
  isComplete,
  measureDecodes,
  measuredSizes,
  measureRuns,
  type Runner,
  wasBusy,
  wasDelayed,
} from '../../src/latency/measure.js';
import { fasterTwins } from '../../src/latency/twins.js';
import { BATCH_SIZES } from '../../src/runtime/batch-sizes.js';
import { FAMILIES } from '../support/app.js';

const TINY = await loadFamily(join(FAMILIES, 'tiny'));
const TWINS = await loadFamily(join(FAMILIES, '..', 'twins', 'tiny'));

/** A fake host with one thread: `ms` gives the time of a run; first runs of larger batches take ten times as long. */
function host(
  ms: (key: string, size: number, run: number) => number,
  { cpuKnown = false, slowedBy = (_run: number): number => 1, batchSizes = BATCH_SIZES.cpu as readonly number[] } = {},
) {
  const seen = new Set<string>();
  const world = { nowMs: 0, runs: 0, keys: [] as string[] };
  const runner: Runner = {
    batchSizes,
    threads: 1,
    onEveryThread: (work) =>
      work(async ({ key, size }) => {
        const first = size > 1 && !seen.has(`${key} ${size}`) ? 10 : 1;
        seen.add(`${key} ${size}`);
        world.keys.push(`${key} ${size}`);
        const cpuMs = first * ms(key, size, world.runs++);
        world.nowMs += cpuMs * slowedBy(world.runs);
        return { cpuMs: cpuKnown ? cpuMs : undefined };
      }),
  };
  const both = (family: Family = TINY) => measureRuns(runner, [family], () => world.nowMs);
  const measure = async (family: Family = TINY) => (await both(family)).samples;
  return { world, measure, both };
}

t.test('the smallest and the largest batch size of the device are measured', (t) => {
  t.same(measuredSizes(BATCH_SIZES.cpu), [1, 8]);
  t.same(measuredSizes(BATCH_SIZES.cuda), [1, 64]);
  t.same(measuredSizes([1]), [1]);
  t.end();
});

t.test('first runs of a batch size are not counted, and there are enough of the others', async (t) => {
  const { measure } = host((_key, size) => 1 + size);
  const samples = await measure();
  t.ok(isComplete(samples));
  t.notOk(wasBusy(samples));
  for (const { key } of TINY.instances)
    for (const size of measuredSizes(BATCH_SIZES.cpu)) {
      const its = samples[key]?.[size] ?? [];
      t.ok(its.length >= ENOUGH && its.every((ms) => ms === 1 + size), `${key} x ${size}`);
    }
  const line = baselinesOf(samples).runs['tiny/full'];
  t.ok(Math.abs((line?.aMs ?? 0) - 1) < 1e-9 && Math.abs((line?.bMs ?? 0) - 1) < 1e-9);
});

t.test('a GPU is measured at batch sizes 1 and 64, and the line is nowhere below the true times', async (t) => {
  // As on a GPU: up to 16 pictures take as long as one, then the time is proportional to their number.
  const trulyMs = (size: number) => Math.max(2, size / 8);
  const { measure } = host((_key, size) => trulyMs(size), { batchSizes: BATCH_SIZES.cuda });
  const samples = await measure();
  t.ok(isComplete(samples));
  t.same(Object.keys(samples['tiny/full'] ?? {}), ['1', '64']);
  const { aMs, bMs } = baselinesOf(samples).runs['tiny/full'] ?? { aMs: Number.NaN, bMs: Number.NaN };
  for (const size of BATCH_SIZES.cuda) t.ok(aMs + bMs * size >= trulyMs(size) - 1e-9, `${size}`);
  for (const size of [1, 64]) t.ok(Math.abs(aMs + bMs * size - trulyMs(size)) < 1e-9, `${size}`);
});

/** The family of twins with a second network, whose instances are the same. */
const TWO_NETWORKS: Family = {
  ...TWINS,
  instances: [
    ...TWINS.instances,
    ...TWINS.instances.map((i) => ({ ...i, network: 'b', id: `b-${i.id}`, key: `tiny/b-${i.id}` })),
  ],
};

t.test('instances take turns, an int8 one right after its float32 one', async (t) => {
  for (const family of [TWINS, TWO_NETWORKS]) {
    const { world, measure } = host(() => 1);
    await measure(family);
    const round = world.keys.slice(0, family.instances.length);
    t.equal(new Set(round).size, family.instances.length, 'each once before any comes again');
    for (const [n, key] of round.entries()) if (key.includes('-i8')) t.equal(round[n - 1], key.replace('-i8', ''), key);
  }
});

t.test('int8 of a network is compared with float32 of the same network', async (t) => {
  // Network b is so much slower that its int8 takes longer than float32 of the other one.
  const ms = (key: string) => (key.includes('/b-') ? 10 : 1) * (key.endsWith('-i8') ? 0.5 : 1);
  const instances = TWO_NETWORKS.instances.filter((i) => i.network === 'b' || i.precision === 'float32');
  const family = { ...TWO_NETWORKS, instances };
  const twins = instances.filter((i) => i.precision === 'int8').map((i) => i.key);
  t.same(fasterTwins(instances, await host(ms).measure(family)), twins);
});

t.test('however slow the host is, measuring ends in time, and every instance has a run that counts', async (t) => {
  const { instances } = TINY;
  for (const slowness of [1, 10, 1000, 100_000]) {
    const { world, measure } = host((_key, size) => slowness * (1 + size));
    const samples = await measure();
    const needed = instances.length * 2 * slowness;
    t.ok(world.nowMs <= Math.max(11_000, needed) + 10 * 9 * slowness, `${world.nowMs} ms at ${slowness}`);
    const { runs } = baselinesOf(samples);
    for (const { key } of instances) {
      const { aMs, bMs } = runs[key] ?? { aMs: 0, bMs: 0 };
      t.ok(Math.abs((aMs + bMs) / (2 * slowness) - 1) < 1e-9, `${key} at ${slowness}`);
    }
    t.equal(isComplete(samples), slowness < 1000, 'and whether there was time for batches is known');
  }
});

t.test('where networks are so slow that few batches are measured, the others save as much by batches', async (t) => {
  const ms = (key: string, size: number) => (key.endsWith('full') ? 2 : 1) * (80 + 20 * size);
  const { both } = host(ms, { cpuKnown: true });
  const measured = await both();
  t.notOk(isComplete(measured.samples));
  t.notOk(wasDelayed(measured), 'and no other program is to blame');
  const batches = Object.values(measured.samples).filter((sizes) => sizes['8']?.length);
  t.ok(batches.length > 0 && batches.length < TINY.instances.length, `${batches.length}`);
  const { runs } = baselinesOf(measured.samples, [], 1, measured.wall);
  for (const { key } of TINY.instances) {
    const { aMs, bMs } = runs[key] ?? { aMs: 0, bMs: 0 };
    t.ok(Math.abs((aMs + 8 * bMs) / ms(key, 8) - 1) < 1e-6, key);
  }
  t.ok(wasDelayed(await host(ms, { cpuKnown: true, slowedBy: () => 1.5 }).both()));
});

t.test('disturbed runs do not change the baselines, even if most are; the host is reported as busy', async (t) => {
  const disturbed = (run: number) => ((run * 2_654_435_761) % 2 ** 32) / 2 ** 32 < 0.6;
  const quiet = baselinesOf(await host((_key, size) => 1 + size).measure());
  const samples = await host((_key, size, run) => (1 + size) * (disturbed(run) ? 3 : 1)).measure();
  t.same(baselinesOf(samples).runs, quiet.runs);
  t.ok(wasBusy(samples));
});

t.test('if CPU time is known, baselines are CPU times and the spread is that of wall times', async (t) => {
  const slowedBy = (run: number) => 1 + (((run * 2_654_435_761) % 2 ** 32) / 2 ** 32) * 2;
  const quiet = baselinesOf(await host((_key, size) => 1 + size).measure());
  const { samples, wall } = await host((_key, size) => 1 + size, { cpuKnown: true, slowedBy }).both();
  const { runs, runSpread } = baselinesOf(samples, [], 1, wall);
  t.same(runs, quiet.runs);
  t.ok((runSpread[0] ?? 0) >= 1 && (runSpread.at(-1) ?? 0) > 2 && (runSpread.at(-1) ?? 9) < 3, `${runSpread}`);
  t.ok(wasBusy(wall));
  t.notOk(wasBusy(samples));
});

t.test('int8 is taken where it is clearly faster, whatever single runs say', async (t) => {
  const at = async (share: number) => {
    const { measure } = host((key, size, run) => (1 + size) * (key.endsWith('-i8') ? share : 1) * (run % 3 ? 1 : 4));
    return fasterTwins(TWINS.instances, await measure(TWINS));
  };
  const twins = TWINS.instances.filter((i) => i.precision === 'int8').map((i) => i.key);
  t.same([...(await at(0.7))], twins);
  for (const share of [0.95, 1, 1.3]) t.equal((await at(share)).length, 0, `${share}`);
});

t.test('a family decides at once, by the median of its pairs; one without pairs that were run has no int8', (t) => {
  const { instances } = TWINS;
  const twins = instances.filter((i) => i.precision === 'int8').map((i) => i.key);
  const samples = (ratio: (n: number) => number) =>
    Object.fromEntries(
      twins.flatMap((key, n) => [
        [key, { 1: [10 * ratio(n)] }],
        [key.replace('-i8', ''), { 1: [10] }],
      ]),
    );
  t.same(
    fasterTwins(
      instances,
      samples((n) => (n < 3 ? 2 : 0.5)),
    ),
    twins,
    'three of seven pairs were disturbed',
  );
  t.same(
    fasterTwins(
      instances,
      samples((n) => (n < 4 ? 2 : 0.5)),
    ),
    [],
  );
  t.same(fasterTwins(instances, { 'tiny/full': { 1: [10] }, 'tiny/full-i8': { 8: [1] } }), [], 'no size in common');
  const others = instances.filter((i) => i.id !== 'full');
  t.notOk(
    fasterTwins(
      others,
      samples(() => 0.5),
    ).includes('tiny/full-i8'),
    'it has no float32 instance',
  );
  t.end();
});

/** A fake decoder: 2 ms plus 10 ms for each megapixel, AVIF twice that; the first decode of a picture takes longer. */
function decodes(sample: Decoding['sample']) {
  let nowMs = 0;
  const seen = new Set<Uint8Array>();
  const decode: Decoding['decode'] = async (bytes) => {
    const [megapixels, factor] = JSON.parse(Buffer.from(bytes).toString()) as [number, number];
    const ms = (2 + 10 * megapixels * factor) * (seen.has(bytes) ? 1 : 5);
    seen.add(bytes);
    nowMs += ms;
    return ms;
  };
  return measureDecodes({ sample, decode }, [TINY, { ...TINY, name: 'other' }], () => nowMs);
}
const sample: Decoding['sample'] = async (kind, width, height) =>
  Buffer.from(JSON.stringify([(width * height) / 1e6, kind === 'AVIF' ? 2 : 1]));

t.test('decodes: what each family takes, and what pixels of each kind take', async (t) => {
  const { families, kinds } = baselinesOf({}, await decodes(sample));
  for (const ms of [families.tiny, families.other]) t.ok(Math.abs((ms ?? 0) - 2) < 0.05);
  for (const kind of ['JPEG', 'PNG', 'WebP', 'GIF', 'TIFF'] as const)
    t.ok(Math.abs((kinds[kind] ?? 0) - 10) < 0.1, kind);
  t.ok(Math.abs((kinds.AVIF ?? 0) - 20) < 0.1);
});

t.test('where times cannot be believed, instances of a family are in the order of their FLOPs', (t) => {
  const { instances } = TWINS;
  const disturbed = (n: number) => (n % 3 === 1 ? 20 : 1);
  const lines = Object.fromEntries(
    instances.map(({ key, flops, precision }, n) => {
      const ms = (flops / 1e5) * disturbed(n) * (precision === 'int8' ? 0.5 : 1);
      return [key, { aMs: ms, bMs: 2 * ms }];
    }),
  );
  const found = byFlops(lines, [TWINS]);
  for (const { key, flops, precision } of instances) {
    const ms = (flops / 1e5) * (precision === 'int8' ? 0.5 : 1);
    const { aMs, bMs } = found[key] ?? { aMs: 0, bMs: 0 };
    t.ok(Math.abs(aMs / ms - 1) < 1e-9 && Math.abs(bMs / ms - 2) < 1e-9, `${key}: ${aMs} ${bMs} and not ${ms}`);
  }
  t.same(byFlops({}, [TWINS]), {});
  t.end();
});

t.test('a decode never takes 0 ms, whatever was measured', (t) => {
  const measured = (megapixels: number, ms: number) => ({ family: 'f', kind: 'JPEG' as const, megapixels, ms: [ms] });
  t.ok((baselinesOf({}, [measured(0.01, 9), measured(0.5, 8)]).kinds.JPEG ?? 0) > 0);
  t.end();
});

t.test('a kind that cannot be made is left out', async (t) => {
  const { kinds } = baselinesOf(
    {},
    await decodes((kind, ...of) => (kind === 'AVIF' ? Promise.reject(new Error('none')) : sample(kind, ...of))),
  );
  t.same(Object.keys(kinds), ['JPEG', 'PNG', 'WebP', 'GIF', 'TIFF']);
});
