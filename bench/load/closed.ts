/**
 * Throughput and latency in a closed loop (autocannon) for several budgets and for each pinned instance, with one
 * picture.
 *
 * npm run build && npx tsx bench/load/closed.ts --data data/cifar10 --out bench/results/closed-cifar10.json
 *
 * All kinds of requests take turns in several rounds, so that changes of the host's speed affect all of them.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { FAMILY_OPTIONS, familyOptions, positive } from '../options.js';
import { runRealTime } from '../priority.js';
import { startService, stop } from '../service.js';
import { circumstances, progress, writeResult } from '../support.js';
import { type Model, served } from './setup.js';

/** Budgets that every family can meet. One of accuracy is added, from the family's own figures. */
const BUDGETS = ['', 'cost=0.4', 'latency=100'];

const { values: options } = parseArgs({
  options: {
    ...FAMILY_OPTIONS,
    connections: { type: 'string', default: '16' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
  },
});
const family = familyOptions(options);
const [connections, duration, rounds] = [options.connections, options.seconds, options.rounds].map((o) =>
  positive.int().parse(o),
) as [number, number, number];

interface Kind {
  readonly kind: string;
  readonly query: string;
  readonly headers: Record<string, string>;
}

function kinds(model: Model): Kind[] {
  const accuracies = served(model)
    .map((i) => i.accuracy)
    .sort((a, b) => a - b);
  const middle = accuracies[Math.floor(accuracies.length / 2)] as number;
  const budgets = [...BUDGETS, `accuracy=${Math.floor(middle * 1000) / 1000}`].map((budget) => ({
    kind: budget || 'no budget',
    query: '',
    headers: budget ? { 'Inference-Budget': budget } : {},
  }));
  const pinned = served(model).map(({ id }) => ({ kind: `instance=${id}`, query: `&instance=${id}`, headers: {} }));
  return [...budgets, ...pinned];
}

async function measure(url: string, body: Buffer, { kind, query, headers }: Kind) {
  const result = await autocannon({
    url: `${url}/classify?model=${options.family}&top=1${query}`,
    method: 'POST',
    headers,
    body,
    connections,
    duration,
  });
  return {
    kind,
    answersPerS: result['2xx'] / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    p999Ms: result.latency.p99_9,
    refused: result.non2xx,
    errors: result.errors,
  };
}

const folder = mkdtempSync(join(tmpdir(), 'dimmer-closed-'));
const service = await startService(family.environment(folder));
try {
  const { model, pictures } = await family.material(service.url);
  const body = readFileSync(pictures[0]?.file as string);
  const priority = runRealTime();
  const all = kinds(model);
  const bar = progress('closed', rounds * all.length);
  const runs: Awaited<ReturnType<typeof measure>>[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const kind of all) {
      runs.push(await measure(service.url, body, kind));
      bar.step();
    }
  }
  bar.stop();
  console.table(runs.toSorted((a, b) => a.kind.localeCompare(b.kind)));
  const { name, version, device } = model;
  const facts = { model: name, modelVersion: version, device, connections, seconds: duration, priority };
  writeResult(options.out, { bench: 'closed', ...circumstances(), ...facts, runs });
} finally {
  await stop(service.child);
  rmSync(folder, { recursive: true, force: true });
}
