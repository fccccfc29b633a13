/**
 * Rivals that run one instance and choose batches only. Each queues by deadline, as the service hands pictures over, and
 * drops those that its instance alone could no longer finish in time; where the source is less careful, that is kinder
 * to it. A picture that does not allow the instance waits until it expires.
 */
import type { Instance } from '../../src/family/instance.js';
import { quantile } from '../../src/latency/quantile.js';
import { BATCH_SIZES, MAX_BATCH, type Predict, type Waiting } from '../../src/policy/picture.js';
import { candidates, type Decision, triage, type View } from '../../src/policy/policy.js';
import { type Contender, instanceOf, sizeWithin } from './contender.js';
import { fitLine, type Line } from './line.js';

const dropDoomed = <W extends Waiting>(waiting: readonly W[], view: View, instance: Instance) =>
  triage(waiting, view, () => view.predict(instance, 1));

/** The first pictures that allow the instance, in a batch of this size or the next smaller one that they fill. */
function firstOnes<W extends Waiting>(alive: readonly W[], instance: Instance, size: number, predict: Predict) {
  const able = alive.filter((w) => w.allowed.includes(instance));
  if (able.length === 0) return undefined;
  const pictures = able.slice(0, sizeWithin(Math.min(size, able.length)));
  return { instance, pictures, predictedMs: predict(instance, pictures.length) };
}

const decision = <W extends Waiting>(
  { expired, turnedLate }: Pick<Decision<W>, 'expired' | 'turnedLate'>,
  run: Decision<W>['run'],
): Decision<W> => (run ? { expired, turnedLate, run } : { expired, turnedLate });

export const fixed = (id: string): Contender => ({
  name: `fixed:${id}`,
  note: 'One instance for all: earliest deadline first, the largest batch that keeps each of its pictures in time.',
  create(instances) {
    const instance = instanceOf(instances, id);
    return {
      policy: (waiting, view) => {
        const parts = dropDoomed(waiting, view, instance);
        return decision(parts, candidates([instance], parts.alive, MAX_BATCH, view)[0]);
      },
    };
  },
});

/** Clipper's: added to the batch size after a good run, and what is left of it after a bad one. */
const ADDED = 1;
const BACK_OFF = 0.9;

export const clipper = (id: string): Contender => ({
  name: 'clipper',
  note: `Clipper (NSDI 2017, 4.3.1): the batch size grows by ${ADDED} until a run breaks the deadline, then shrinks by a tenth (AIMD); runs at once with what waits. Ours: a run is bad if any of its pictures was too late; only a run as large as the size allows lets it grow; sizes are rounded down to those that are warm, so growth shows in steps. Its code drops what has passed its deadline, here what will.`,
  create(instances) {
    const instance = instanceOf(instances, id);
    let most = 1;
    return {
      policy: (waiting, view) => {
        const parts = dropDoomed(waiting, view, instance);
        return decision(parts, firstOnes(parts.alive, instance, most, view.predict));
      },
      finished: ({ size, missed }) => {
        if (missed > 0) most = Math.max(1, most * BACK_OFF);
        else if (size === sizeWithin(most)) most = Math.min(MAX_BATCH, most + ADDED);
      },
    };
  },
});

/** BentoML's constants: how many runs are fitted, how often it looks again, how the mean wait is discounted. */
const KEPT_RUNS = 50;
const TICK_MS = 1;
const DECAY = 0.95;

export const bentoml = (id: string): Contender => ({
  name: 'bentoml',
  note: `BentoML (dispatcher.py, CorkDispatcher): fits a n + b to the last ${KEPT_RUNS} runs; cancels the oldest while all n that wait, as one batch, would pass its deadline (early refusal, n above the largest batch included, as written); waits for more while n (age of the newest + ${TICK_MS} ms + a) is within ${DECAY} of the mean wait. Ours: the first line is fitted to the latency table instead of training requests; refitted after each run, not each 5 s; it takes the oldest pictures, where BentoML pops the newest.`,
  create(instances) {
    const instance = instanceOf(instances, id);
    const runs: { x: number; y: number }[] = [];
    const waits: number[] = [];
    let line: Line | undefined;
    return {
      policy: (waiting, view) => {
        line ??= fitLine(BATCH_SIZES.map((x) => ({ x, y: view.predict(instance, x) })));
        const { a, b } = line;
        const parts = dropDoomed(waiting, view, instance);
        const hopeless = (w: Waiting, n: number) => n > 1 && w.strict && view.nowMs + a * n + b >= w.deadlineMs;
        const first = parts.alive.findIndex((w, place) => !hopeless(w, parts.alive.length - place));
        const alive = parts.alive.slice(Math.max(0, first));
        const expired = [...parts.expired, ...parts.alive.slice(0, Math.max(0, first))];
        const left = { expired, turnedLate: parts.turnedLate };
        const age = view.nowMs - Math.max(...alive.map((w) => w.arrivalMs));
        if (alive.length && alive.length < MAX_BATCH && alive.length * (age + TICK_MS + a) <= mean(waits) * DECAY) {
          return { ...left, waitUntilMs: view.nowMs + TICK_MS };
        }
        const run = firstOnes(alive, instance, MAX_BATCH, view.predict);
        if (run) push(waits, view.nowMs - Math.min(...run.pictures.map((w) => w.arrivalMs)), KEPT_RUNS);
        return decision(left, run);
      },
      finished: ({ size, actualMs }) => {
        push(runs, { x: size, y: actualMs }, KEPT_RUNS);
        if (new Set(runs.map((r) => r.x)).size > 1) line = fitLine(runs);
      },
    };
  },
});

export const proteus = (id: string): Contender => ({
  name: 'proteus',
  note: 'Proteus (ASPLOS 2024, 4): proactive batching that does not keep busy: with q waiting it waits until the first deadline less the latency of the next larger batch, and runs when that is full or that moment has come; drops what cannot be in time. Ours: its accuracy scaling (a solver that moves models between machines each half minute) is left out, so it has one instance.',
  create(instances) {
    const instance = instanceOf(instances, id);
    return {
      policy: (waiting, view) => {
        const parts = dropDoomed(waiting, view, instance);
        const run = candidates([instance], parts.alive, MAX_BATCH, view)[0];
        const larger = BATCH_SIZES.find((size) => size > parts.alive.length);
        const head = parts.alive[0];
        if (!run || !head || larger === undefined) return decision(parts, run);
        const latestMs = head.deadlineMs - view.predict(instance, larger);
        if (latestMs <= view.nowMs || latestMs === Number.POSITIVE_INFINITY) return decision(parts, run);
        return { expired: parts.expired, turnedLate: parts.turnedLate, waitUntilMs: latestMs };
      },
    };
  },
});

/** Clockwork's: it predicts by the 99th percentile of so many runs, in effect their longest. */
const MEASURED_RUNS = 10;
const CLOCKWORK_QUANTILE = 0.99;

export const clockwork = (id: string): Contender => ({
  name: 'clockwork',
  note: `Clockwork (OSDI 2020, 5.3): an action that cannot start between earliest and latest (deadline less its predicted time) is never run; of those that can, the largest batch. It predicts by the 99th percentile of the last ${MEASURED_RUNS} runs of that batch size (its scheduler's constants). Ours: the latency table until there are as many; its 5 ms of reserve for the network and the 10 ms it schedules ahead are left out, as a thread here is told when it is free.`,
  create(instances) {
    const instance = instanceOf(instances, id);
    const runs = new Map<number, number[]>(BATCH_SIZES.map((size) => [size, []]));
    const predictFrom =
      (table: Predict): Predict =>
      (i, size) => {
        const last = runs.get(size) ?? [];
        const ms =
          last.length < MEASURED_RUNS
            ? undefined
            : quantile(
                last.toSorted((x, y) => x - y),
                CLOCKWORK_QUANTILE,
              );
        return ms ?? table(i, size);
      };
    return {
      policy: (waiting, view) => {
        const own = { ...view, predict: predictFrom(view.predict) };
        const parts = dropDoomed(waiting, own, instance);
        return decision(parts, candidates([instance], parts.alive, MAX_BATCH, own)[0]);
      },
      finished: ({ size, actualMs }) => push(runs.get(size) ?? [], actualMs, MEASURED_RUNS),
    };
  },
});

/** Adds to a list that keeps the last ones. */
function push<T>(list: T[], value: T, most: number): void {
  list.push(value);
  if (list.length > most) list.shift();
}

const mean = (values: readonly number[]) => (values.length ? values.reduce((a, b) => a + b, 0) / values.length : 0);
