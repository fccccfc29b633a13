/**
 * How long a decision takes with many pictures waiting: the policy, and admission of one more.
 *
 *   npm run bench:decision -- --waiting 1000 --out bench/results/decision.json
 *
 * Nine instances and a real latency model, told of a run before each decision; deadlines, limits and strictness are mixed. No server runs.
 * Exit status 1 if the policy's p99 is not below the limit.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import type { Instance } from '../../src/family/instance.js';
import { baselinesOf } from '../../src/latency/baselines.js';
import { LatencyModel } from '../../src/latency/model.js';
import { finishMs } from '../../src/policy/admission.js';
import { BATCH_SIZES, byRank, type Latency, MAX_BATCH, type Waiting } from '../../src/policy/picture.js';
import { decide } from '../../src/policy/policy.js';
import { circumstances, progress, writeResult } from '../support.js';

const LIMIT_MS = 0.2; // DESIGN: overhead
const THREADS = 2;
const LATENCY_MS = 400;
const { values: options } = parseArgs({
  options: {
    waiting: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '5' },
    decisions: { type: 'string', default: '4000' },
    out: { type: 'string' },
  },
});
const WAITING = Number(options.waiting);

const instances = Array.from({ length: 9 }, (_, n): Instance => {
  const share = 1 - n / 12;
  const id = n === 0 ? 'full' : `p${String(10 - n).padStart(2, '0')}-r500`;
  return {
    key: `bench/${id}`,
    id,
    family: 'bench',
    p: n === 0 ? 0 : 10 - n,
    r: n === 0 ? 1 : 0.5,
    flops: Math.round(2e8 * share),
    macs: Math.round(1e8 * share),
    share,
    top1: 0.94 - n / 100,
    interval: [0, 1],
    accuracy: 0.94 - n / 100,
    top5: 1,
    correct: 0,
    n: 0,
    temperature: 1,
    precision: 'float32',
    graph: '',
  };
});
const runMs = (share: number, size: number) =>
  Array.from({ length: 48 }, (_, n) => share * (0.5 + size) * (1 + (n % 7) / 50));
const samples = Object.fromEntries(
  instances.map(({ key, share }) => [key, Object.fromEntries(BATCH_SIZES.map((n) => [n, runMs(share, n)]))]),
);
const model = LatencyModel.from(baselinesOf(samples), () => performance.now());
const latency: Latency = {
  predict: (i, size) => model.run(i.key, size).highMs,
  expect: (i, size) => model.run(i.key, size).meanMs,
  cost: (i, size) => model.run(i.key, size).cpuMs,
};
/** As in the service, those that allow the same share one list. */
const lists = instances.map((_, n) => instances.slice(n));
const onlyFull = instances.slice(0, 1);

let made = 0;
/** Every fourth has narrower limits, a tenth no deadline. */
function picture(nowMs: number, latencyMs: number): Waiting {
  const n = made++;
  const deadlineMs = n % 10 === 9 ? Number.POSITIVE_INFINITY : nowMs + latencyMs;
  const allowed = deadlineMs === Number.POSITIVE_INFINITY ? onlyFull : (lists[n % 4 ? 0 : n % 9] as Instance[]);
  return { allowed, deadlineMs, strict: n % 3 > 0, late: false, arrivalMs: nowMs };
}

/** As after a run: the first batch is gone, and as many have come. */
function moveOn(waiting: Waiting[], nowMs: number): void {
  waiting.splice(0, MAX_BATCH);
  while (waiting.length < WAITING) {
    const next = picture(nowMs, LATENCY_MS);
    waiting.splice(waiting.findLastIndex((w) => byRank(w, next) <= 0) + 1, 0, next);
  }
}

const figures = (name: string, h: RecordableHistogram) => ({
  [`${name}P50Ms`]: h.percentile(50) / 1e6,
  [`${name}P99Ms`]: h.percentile(99) / 1e6,
  [`${name}MaxMs`]: h.max / 1e6,
});

const rounds: Record<string, number>[] = [];
const count = Number(options.rounds);
const bar = progress('decision', count);
const startMs = performance.now();
const waiting = Array.from({ length: WAITING }, (_, n) => picture(startMs, (LATENCY_MS * n) / WAITING)).sort(byRank);
for (let round = 0; round <= count; round++) {
  const [policy, admission] = [createHistogram(), createHistogram()];
  for (let n = 0; n < Number(options.decisions); n++) {
    const nowMs = performance.now();
    moveOn(waiting, nowMs);
    const common = { nowMs, threads: THREADS, capacity: THREADS, besidesMs: 0.1, ...latency };
    const load = { runningUntilMs: [], arrivalsPerMs: 1, dispersion: 1 };
    const view = { ...common, ...load, idle: 1, decoding: 3, decodingDueMs: nowMs + LATENCY_MS };
    model.ran(instances[n % instances.length]?.key as string, MAX_BATCH, 9);
    const startNs = process.hrtime.bigint();
    decide(waiting, view);
    const decidedNs = process.hrtime.bigint();
    const ahead = { ...common, waiting, expected: [], runningUntilMs: [nowMs + 3], lastingPerMs: 1 };
    finishMs({ allowed: instances, late: false, deadlineMs: nowMs + LATENCY_MS }, 1, 1, ahead);
    policy.record(decidedNs - startNs);
    admission.record(process.hrtime.bigint() - decidedNs);
  }
  if (round === 0) continue; // not yet compiled
  rounds.push({ n: policy.count, ...figures('policy', policy), ...figures('admission', admission) });
  bar.step();
}
bar.stop();
console.table(rounds);
const slow = rounds.filter((r) => (r.policyP99Ms as number) >= LIMIT_MS);
console.log(slow.length ? `p99 too high in ${slow.length} rounds` : `p99 below ${LIMIT_MS} ms in every round`);
writeResult(options.out, { bench: 'decision', ...circumstances(), limitMs: LIMIT_MS, waiting: WAITING, rounds });
process.exitCode = slow.length ? 1 : 0;
