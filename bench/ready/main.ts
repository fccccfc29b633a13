/**
 * Time until the service is ready, and goodput in its first second, with an empty CACHE_DIR and with one filled by a
 * previous start.
 *
 * npm run build && npm run bench:ready -- --data data/cifar10/test --service ../before --out bench/results/ready.json
 *
 * Compared are this build, this build without rehearsal, and the builds of other checkouts (`--service FOLDER`); they
 * take turns. As soon as a service is ready, it gets pictures of 32 pixels at --rate a second with `latency=100`, for
 * one second. After that, memory is measured: the proportional set size (PSS) of the service and its decoding
 * processes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from '../../src/load/statistics.js';
import { positive } from '../options.js';
import { pictures } from '../overload/pictures.js';
import { latencyBudget, offer } from '../overload/service.js';
import { startService, stop } from '../service.js';
import { pssMib } from '../soak/memory.js';
import { circumstances, progress, writeResult } from '../support.js';
import { spread } from '../virtual/summary.js';

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: 'models' },
    family: { type: 'string', default: 'cifar10' },
    data: { type: 'string' },
    rate: { type: 'string', default: '150' },
    runs: { type: 'string', default: '5' },
    service: { type: 'string', multiple: true, default: [] },
    out: { type: 'string' },
  },
});
const LATENCY_MS = 100;
const BURST_MS = 1000;
const rate = positive.parse(options.rate);
const rounds = positive.int().parse(options.runs);
const folder = mkdtempSync(join(tmpdir(), 'dimmer-ready-'));
const models = resolve(options.models);

interface Variant {
  readonly name: string;
  readonly root: string | undefined;
  readonly environment: Record<string, string>;
}
const VARIANTS: Variant[] = [
  { name: 'this', root: undefined, environment: {} },
  { name: 'this, no rehearsal', root: undefined, environment: { REHEARSAL_REQUESTS: '0' } },
  ...options.service.map((root) => ({ name: basename(resolve(root)), root: resolve(root), environment: {} })),
];

interface Start {
  readonly variant: string;
  readonly cache: 'empty' | 'kept';
  readonly readyMs: number;
  /** Share of the pictures of the first second that are answered in time, by the client's clock. */
  readonly inTime: number;
  readonly pssMib: number;
}

const arrivalsMs = Array.from({ length: Math.round((rate * BURST_MS) / 1000) }, (_, n) => (n * 1000) / rate);
const bodies = await pictures('cifar', options.data, 1);

async function start({ name, root, environment }: Variant, cache: Start['cache']): Promise<Start> {
  const CACHE_DIR = join(folder, name);
  if (cache === 'empty') rmSync(CACHE_DIR, { recursive: true, force: true });
  const startMs = performance.now();
  const { child, url } = await startService(
    { MODELS_DIR: models, DEFAULT_MODEL: options.family, CACHE_DIR, ...environment },
    undefined,
    root === undefined ? {} : { root },
  );
  const readyMs = performance.now() - startMs;
  try {
    const target = { url, pid: child.pid as number, family: options.family, pictures: bodies };
    const { outcome } = await offer(target, arrivalsMs, latencyBudget(LATENCY_MS, false));
    const inTime =
      outcome.records.filter((r) => r.status === 200 && r.lagMs + r.latencyMs <= LATENCY_MS).length / arrivalsMs.length;
    return { variant: name, cache, readyMs, inTime, pssMib: await pssMib(child.pid as number) };
  } finally {
    await stop(child);
  }
}

const starts: Start[] = [];
const bar = progress('starts', rounds * VARIANTS.length * 2);
try {
  for (let n = 0; n < rounds; n++) {
    for (const variant of n % 2 ? VARIANTS.toReversed() : VARIANTS) {
      for (const cache of ['empty', 'kept'] as const) {
        starts.push(await start(variant, cache));
        bar.step();
      }
    }
  }
} finally {
  bar.stop();
  rmSync(folder, { recursive: true, force: true });
}
const rows = VARIANTS.flatMap(({ name }) =>
  (['empty', 'kept'] as const).map((cache) => {
    const its = starts.filter((s) => s.variant === name && s.cache === cache);
    const of = (value: (s: Start) => number) => ({ median: median(its.map(value)), ...spread(its.map(value)) });
    return {
      name,
      cache,
      n: its.length,
      readyMs: of((s) => s.readyMs),
      inTime: of((s) => s.inTime),
      pssMib: of((s) => s.pssMib),
    };
  }),
);
console.table(
  rows.map(({ name, cache, n, readyMs, inTime, pssMib: pss }) => ({
    name,
    cache,
    n,
    'ready, s': (readyMs.median / 1000).toFixed(1),
    'in time, first second, %': (100 * inTime.median).toFixed(1),
    'PSS, MiB': pss.median.toFixed(0),
  })),
);
writeResult(options.out, { bench: 'ready', ...circumstances(), latencyMs: LATENCY_MS, rate, rows, starts });
