/**
 * Duration of scheduling decisions with many pictures waiting: the next action (`next`), and the test of admission
 * (`foresee`).
 *
 * npm run bench:decision -- --waiting 1000 --out bench/results/decision.json
 *
 * No server runs. There are nine instances and a real latency model, which learns a run before each decision. The
 * waiting pictures differ in stage, deadline, allowed instances and strictness. Exit status 1 if p99 of either is not
 * below LIMIT_MS.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import type { Instance } from '../../src/family/instance.js';
import { baselinesOf } from '../../src/latency/baselines.js';
import { LatencyModel } from '../../src/latency/model.js';
import { foresee } from '../../src/plan/admit.js';
import { next } from '../../src/plan/next.js';
import { byRank, type Snapshot, type Stage, type Waiting } from '../../src/plan/snapshot.js';
import { TUNING } from '../../src/plan/tuning.js';
import { BATCH_SIZES, MAX_BATCH } from '../batch-sizes.js';
import { circumstances, progress, writeResult } from '../support.js';

/** Largest allowed p99 of a decision. */
const LIMIT_MS = 0.3;
const THREADS = 2;
/** Pictures that are being decoded, and that are decoded: as many as the service has at once. */
const DECODING = 3;
const DECODED = MAX_BATCH;
const LATENCY_MS = 400;
/** Best effort pictures, which wait behind all others. */
const BEST_EFFORT = 50;
/** Time of a decode, of a small picture and of a photograph. */
const DECODE_MS = 0.1;
const LONG_MS = 15;
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
    // Concave, so that each is the best choice at some price.
    accuracy: 0.94 - n ** 2 / 800,
    top5: 1,
    correct: 0,
    n: 0,
    temperature: 1,
    precision: 'float32',
    graph: '',
  };
});
/**
 * Times of runs for which all waiting pictures just meet their deadlines: then the search for the level takes longest.
 */
const runMs = (share: number, size: number) =>
  Array.from({ length: 48 }, (_, n) => share * (0.4 + 0.75 * size) * (1 + (n % 7) / 50));
const samples = Object.fromEntries(
  instances.map(({ key, share }) => [key, Object.fromEntries(BATCH_SIZES.map((n) => [n, runMs(share, n)]))]),
);
/** Simulated clock: every decision takes a full batch from the queue; no time passes while a decision is measured. */
let nowMs = 0;
const latency = LatencyModel.from(baselinesOf(samples), () => nowMs);
const decodeTimes = (ms: number) => ({ meanMs: ms, highMs: 1.5 * ms, idleMs: ms, cpuMs: ms });
const [short, long] = [decodeTimes(DECODE_MS), decodeTimes(LONG_MS)];
/** As in the service, pictures that allow the same instances share one list. */
const lists = instances.map((_, n) => instances.slice(n));
const onlyFull = instances.slice(0, 1);

interface Picture extends Waiting {
  stage: Stage;
}

let made = 0;
/**
 * One more picture. One in four allows fewer instances, one in ten has no deadline, one in a hundred is a photograph.
 */
function picture(latencyMs: number): Picture {
  const n = made++;
  const deadlineMs = n % 10 === 9 ? Number.POSITIVE_INFINITY : nowMs + latencyMs;
  const allowed = deadlineMs === Number.POSITIVE_INFINITY ? onlyFull : (lists[n % 4 ? 0 : n % 9] as Instance[]);
  const isLong = n % 100 === 99;
  return {
    stage: 'encoded',
    allowed,
    deadlineMs,
    strict: n % 3 > 0,
    bestEffort: false,
    arrivalMs: nowMs,
    decode: isLong ? long : short,
    long: isLong,
  };
}

/**
 * The queue after a run: the first batch has left, as many pictures have arrived, the next ones are decoded or being
 * decoded.
 */
function moveOn(waiting: Picture[], decoding: number): void {
  nowMs += (LATENCY_MS * MAX_BATCH) / WAITING;
  waiting.splice(0, MAX_BATCH);
  while (waiting.length < WAITING) {
    const next = picture(LATENCY_MS);
    waiting.splice(waiting.findLastIndex((w) => byRank(w, next) <= 0) + 1, 0, next);
  }
  for (const [place, w] of waiting.slice(0, DECODED + decoding).entries()) {
    w.stage = place < DECODED ? 'decoded' : 'decoding';
  }
}

/** A queue in a steady state, in which pictures without a deadline have moved behind later arrivals. */
function queue(): Picture[] {
  const late = Array.from({ length: BEST_EFFORT }, () => ({ ...picture(0), strict: false, bestEffort: true }));
  const waiting = [...Array.from({ length: WAITING - BEST_EFFORT }, () => picture(LATENCY_MS)), ...late].sort(byRank);
  for (let n = 0; n < WAITING; n++) moveOn(waiting, 0);
  return waiting;
}

const figures = (name: string, h: RecordableHistogram) => ({
  [`${name}P50Ms`]: h.percentile(50) / 1e6,
  [`${name}P99Ms`]: h.percentile(99) / 1e6,
  [`${name}MaxMs`]: h.max / 1e6,
});

const rounds: Record<string, number>[] = [];
const chosen = new Map<string, number>();
const count = Number(options.rounds);
const bar = progress('decision', count);
const waiting = queue();
for (let round = 0; round <= count; round++) {
  const [decision, admission] = [createHistogram(), createHistogram()];
  for (let n = 0; n < Number(options.decisions); n++) {
    moveOn(waiting, n % 2 ? DECODING : 0); // with busy CPUs the plan waits for a fuller batch, with idle ones it runs
    const snapshot: Snapshot<Picture> = {
      nowMs,
      waiting,
      running: [{ startMs: nowMs - 2, endMs: nowMs + 3, cpuMs: 5 }],
      batchSizes: BATCH_SIZES,
      threads: THREADS,
      idleThreads: 1,
      decodePlaces: { short: 0, long: 0 },
      cpus: { count: THREADS, answerMs: 0.02, perRun: 1, networks: true },
      arrivalsPerMs: 0.5,
      dispersion: 1,
      margin: 1,
      latency,
      tuning: TUNING,
    };
    latency.ran(instances[n % instances.length]?.key as string, MAX_BATCH, 9);
    const startNs = process.hrtime.bigint();
    const action = next(snapshot);
    const decidedNs = process.hrtime.bigint();
    const decodes = [short];
    foresee(
      { allowed: instances, bestEffort: false, arrivalMs: nowMs, deadlineMs: nowMs + LATENCY_MS, decodes },
      snapshot,
    );
    decision.record(decidedNs - startNs);
    admission.record(process.hrtime.bigint() - decidedNs);
    const what = action.type === 'run' ? action.instance.id : action.type;
    chosen.set(what, (chosen.get(what) ?? 0) + 1);
  }
  if (round === 0) continue; // the first round warms up the JIT compiler
  rounds.push({ n: decision.count, ...figures('next', decision), ...figures('foresee', admission) });
  bar.step();
}
bar.stop();
console.table(rounds);
console.log(`decided: ${[...chosen].map(([what, times]) => `${what} ${times}`).join(', ')}`);
const slow = rounds.filter((r) => Math.max(r.nextP99Ms as number, r.foreseeP99Ms as number) >= LIMIT_MS);
console.log(slow.length ? `p99 too high in ${slow.length} rounds` : `p99 below ${LIMIT_MS} ms in every round`);
writeResult(options.out, { bench: 'decision', ...circumstances(), limitMs: LIMIT_MS, waiting: WAITING, rounds });
process.exitCode = slow.length ? 1 : 0;
