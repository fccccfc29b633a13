/**
 * How long a decision takes with many pictures waiting: what to do next, and whether one more could be in time.
 *
 *   npm run bench:decision -- --waiting 1000 --out bench/results/decision.json
 *
 * Nine instances and a real latency model, told of a run before each decision; stages, deadlines, limits and strictness are
 * mixed. No server runs. Exit status 1 if p99 of either is not below the limit.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import type { Instance } from '../../src/family/instance.js';
import { baselinesOf } from '../../src/latency/baselines.js';
import { LatencyModel } from '../../src/latency/model.js';
import { foresee } from '../../src/plan/admit.js';
import { next } from '../../src/plan/next.js';
import { BATCH_SIZES, byRank, MAX_BATCH, type Snapshot, type Stage, type Waiting } from '../../src/plan/snapshot.js';
import { TUNING } from '../../src/plan/tuning.js';
import { circumstances, progress, writeResult } from '../support.js';

const LIMIT_MS = 0.3; // DESIGN: overhead
const THREADS = 2;
/** Pictures under way in the decoder, and decoded: as many as the service has at once, which has decoded no more ahead. */
const DECODING = 3;
const DECODED = MAX_BATCH;
const LATENCY_MS = 400;
/** What is best effort waits behind all others; so many of them do. */
const BEST_EFFORT = 50;
/** ms of a decode, and of a photograph's. */
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
/** So that all that waits fits, and not by much: then no check of a price ends early. */
const runMs = (share: number, size: number) =>
  Array.from({ length: 48 }, (_, n) => share * (0.4 + 0.75 * size) * (1 + (n % 7) / 50));
const samples = Object.fromEntries(
  instances.map(({ key, share }) => [key, Object.fromEntries(BATCH_SIZES.map((n) => [n, runMs(share, n)]))]),
);
/** Of a service that takes a full batch from the queue at every decision; it stands still while a decision is timed. */
let nowMs = 0;
const latency = LatencyModel.from(baselinesOf(samples), () => nowMs);
const decodeTimes = (ms: number) => ({ meanMs: ms, highMs: 1.5 * ms, idleMs: ms, cpuMs: ms });
const [short, long] = [decodeTimes(DECODE_MS), decodeTimes(LONG_MS)];
/** As in the service, those that allow the same share one list. */
const lists = instances.map((_, n) => instances.slice(n));
const onlyFull = instances.slice(0, 1);

interface Picture extends Waiting {
  stage: Stage;
}

let made = 0;
/** Every fourth has narrower limits, a tenth no deadline, a hundredth is a photograph. */
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

/** As after a run: the first batch is gone, as many have come, and the next ones are decoded or being decoded. */
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

/** The queue as it is after a while: those without a deadline have their turn later than others. */
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
    moveOn(waiting, n % 2 ? DECODING : 0); // busy CPUs make it wait for a fuller batch, idle ones run
    const snapshot: Snapshot<Picture> = {
      nowMs,
      waiting,
      running: [{ startMs: nowMs - 2, endMs: nowMs + 3, cpuMs: 5 }],
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
  if (round === 0) continue; // not yet compiled
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
