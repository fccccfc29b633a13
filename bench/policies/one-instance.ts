/**
 * Policies from the literature that run one instance and choose only the batches. Requests pin that instance, so
 * admission and dropping judge by its times. Pictures are served earliest deadline first, also if the source serves in
 * another order; that is in the policy's favour.
 */
import type { Instance } from '../../src/family/instance.js';
import { quantile } from '../../src/latency/quantile.js';
import type { Run } from '../../src/plan/next.js';
import type { Snapshot, Waiting } from '../../src/plan/snapshot.js';
import { BATCH_SIZES, MAX_BATCH } from '../batch-sizes.js';
import { type Contender, instanceOf, sizeWithin } from './contender.js';
import { fitLine, type Line } from './line.js';
import { atOnce, dueOf, predictOf, runInTime, timely } from './runs.js';

/** A batch of the first pictures that allow the instance: the largest batch size that they fill, at most `size`. */
function firstOnes<W extends Waiting>(decoded: readonly W[], instance: Instance, size: number): Run<W> | undefined {
  const able = decoded.filter((w) => w.allowed.includes(instance));
  if (able.length === 0) return undefined;
  return { type: 'run', instance, pictures: able.slice(0, sizeWithin(Math.min(size, able.length))) };
}

/** The largest batch in time; if the head would be late even alone, it runs alone, as in the service's plan. */
const largest = <W extends Waiting>(instance: Instance, decoded: readonly W[], snapshot: Snapshot<W>): Run<W> =>
  runInTime(instance, decoded, MAX_BATCH, snapshot) ?? atOnce(decoded[0] as W, snapshot);

export const greedy = (id: string): Contender => ({
  name: 'greedy',
  note: 'One instance, at once, in the largest batch that keeps each of its pictures in time.',
  create(instances) {
    const instance = instanceOf(instances, id);
    return { chooseRun: timely((decoded, snapshot) => largest(instance, decoded, snapshot)) };
  },
});

/** Clipper's AIMD constants: added to the batch size after a good run; factor on it after a bad one. */
const ADDED = 1;
const BACK_OFF = 0.9;

export const clipper = (id: string): Contender => ({
  name: 'clipper',
  note: `Clipper (NSDI 2017, 4.3.1): the batch size grows by ${ADDED} until a run breaks the deadline, then shrinks by a tenth (AIMD); runs at once with what waits. Ours: a run is bad if any of its pictures was too late; only a run as large as the size allows lets it grow; sizes are rounded down to those that are warm, so growth shows in steps. Its code drops what has passed its deadline, the service what will.`,
  create(instances) {
    const instance = instanceOf(instances, id);
    let most = 1;
    return {
      chooseRun: timely(
        (decoded, snapshot) =>
          firstOnes(decoded, instance, most) ?? atOnce(decoded[0] as (typeof decoded)[number], snapshot),
      ),
      finished: ({ size, missed }) => {
        if (missed > 0) most = Math.max(1, most * BACK_OFF);
        else if (size === sizeWithin(most)) most = Math.min(MAX_BATCH, most + ADDED);
      },
    };
  },
});

/** BentoML's constants: number of runs in the fit, interval between decisions, discount of the mean wait. */
const KEPT_RUNS = 50;
const TICK_MS = 1;
const DECAY = 0.95;

export const bentoml = (id: string): Contender => ({
  name: 'bentoml',
  note: `BentoML (dispatcher.py, CorkDispatcher): fits a n + b to the last ${KEPT_RUNS} runs; waits for more while n (age of the newest + ${TICK_MS} ms + a) is within ${DECAY} of the mean wait, n being those that wait decoded. Ours: the first line is fitted to the latency table instead of training requests; refitted after each run, not each 5 s; it takes the oldest pictures, where BentoML pops the newest. It cancels the oldest while all that wait, as one batch, would pass its deadline: here the service drops what cannot be in time.`,
  create(instances) {
    const instance = instanceOf(instances, id);
    const runs: { x: number; y: number }[] = [];
    const waits: number[] = [];
    let line: Line | undefined;
    return {
      chooseRun: timely(<W extends Waiting>(decoded: readonly W[], snapshot: Snapshot<W>) => {
        const { nowMs } = snapshot;
        line ??= fitLine(BATCH_SIZES.map((x) => ({ x, y: predictOf(snapshot)(instance, x) })));
        const age = nowMs - Math.max(...decoded.map((w) => w.arrivalMs));
        if (decoded.length < MAX_BATCH && decoded.length * (age + TICK_MS + line.a) <= mean(waits) * DECAY) {
          return { type: 'wait', untilMs: nowMs + TICK_MS } as const;
        }
        const run = firstOnes(decoded, instance, MAX_BATCH) ?? atOnce(decoded[0] as W, snapshot);
        push(waits, nowMs - Math.min(...run.pictures.map((w) => w.arrivalMs)), KEPT_RUNS);
        return run;
      }),
      finished: ({ size, actualMs }) => {
        push(runs, { x: size, y: actualMs }, KEPT_RUNS);
        if (new Set(runs.map((r) => r.x)).size > 1) line = fitLine(runs);
      },
    };
  },
});

export const proteus = (id: string): Contender => ({
  name: 'proteus',
  note: 'Proteus (ASPLOS 2024, 4): proactive batching that does not keep busy: with q waiting (here: decoded) it waits until the first deadline less the latency of the next larger batch, and runs when that is full or that moment has come. Ours: its accuracy scaling (a solver that moves models between machines each half minute) is left out, so it has one instance; the service drops what cannot be in time.',
  create(instances) {
    const instance = instanceOf(instances, id);
    return {
      chooseRun: timely(<W extends Waiting>(decoded: readonly W[], snapshot: Snapshot<W>) => {
        const larger = BATCH_SIZES.find((size) => size > decoded.length);
        if (larger !== undefined) {
          const untilMs = dueOf(decoded[0] as W) - predictOf(snapshot)(instance, larger);
          if (untilMs > snapshot.nowMs && untilMs < Number.POSITIVE_INFINITY) return { type: 'wait', untilMs } as const;
        }
        return largest(instance, decoded, snapshot);
      }),
    };
  },
});

/** Clockwork predicts by the 99th percentile of its last runs, in effect the longest of them. */
const MEASURED_RUNS = 10;
const CLOCKWORK_QUANTILE = 0.99;

export const clockwork = (id: string): Contender => ({
  name: 'clockwork',
  note: `Clockwork (OSDI 2020, 5.3): an action that cannot start between earliest and latest (deadline less its predicted time) is never run; of those that can, the largest batch. It predicts by the 99th percentile of the last ${MEASURED_RUNS} runs of that batch size (its scheduler's constants). Ours: the latency table until there are as many; its 5 ms of reserve for the network and the 10 ms it schedules ahead are left out, as a thread here is told when it is free; what it would never run waits until the service drops it.`,
  create(instances) {
    const instance = instanceOf(instances, id);
    const runs = new Map<number, number[]>(BATCH_SIZES.map((size) => [size, []]));
    /** The service's latency model, with Clockwork's own prediction in place of the 0.95 quantile (`highMs`). */
    const latencyFrom = (latency: Snapshot['latency']): Snapshot['latency'] => ({
      run: (key, size) => {
        const last = (runs.get(size) ?? []).toSorted((x, y) => x - y);
        const times = latency.run(key, size);
        if (last.length < MEASURED_RUNS) return times;
        return { ...times, highMs: quantile(last, CLOCKWORK_QUANTILE) as number };
      },
    });
    return {
      chooseRun: timely(<W extends Waiting>(decoded: readonly W[], { nowMs, latency, batchSizes }: Snapshot<W>) => {
        const own = { nowMs, latency: latencyFrom(latency), batchSizes };
        const aloneMs = predictOf(own)(instance, 1);
        const startable = decoded.filter((w) => nowMs + aloneMs <= dueOf(w));
        const run = runInTime(instance, startable, MAX_BATCH, own);
        return run ?? ({ type: 'wait', untilMs: Math.min(...decoded.map(dueOf)) } as const);
      }),
      finished: ({ size, actualMs }) => push(runs.get(size) ?? [], actualMs, MEASURED_RUNS),
    };
  },
});

/** Appends to a list that keeps only the last `most` values. */
function push<T>(list: T[], value: T, most: number): void {
  list.push(value);
  if (list.length > most) list.shift();
}

const mean = (values: readonly number[]) => (values.length ? values.reduce((a, b) => a + b, 0) / values.length : 0);
