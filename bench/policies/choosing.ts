/**
 * Policies from the literature that choose an instance for each batch, among those that the head of the queue allows.
 */
import type { Instance } from '../../src/family/instance.js';
import type { Run } from '../../src/plan/next.js';
import { fastest, type Snapshot, type Waiting } from '../../src/plan/snapshot.js';
import { BATCH_SIZES, MAX_BATCH } from '../batch-sizes.js';
import type { Contender } from './contender.js';
import { atOnce, type Predict, predictOf, runInTime, timely } from './runs.js';

const LARGEST_FIRST = [...BATCH_SIZES].reverse();

/**
 * A policy from its choice `pick`. If there is none, the head runs alone on its fastest instance, as in the service's
 * plan.
 */
const choosing = (
  pick: <W extends Waiting>(head: W, decoded: readonly W[], snapshot: Snapshot<W>) => Run<W> | undefined,
) =>
  timely((decoded, snapshot) => {
    const head = decoded[0] as (typeof decoded)[number];
    return pick(head, decoded, snapshot) ?? atOnce(head, snapshot);
  });

/**
 * The first of these instances on which the head meets its deadline, with the largest batch in time (at most `most`).
 */
function first<W extends Waiting>(
  instances: readonly Instance[],
  decoded: readonly W[],
  snapshot: Snapshot<W>,
  most = MAX_BATCH,
): Run<W> | undefined {
  for (const instance of instances) {
    const run = runInTime(instance, decoded, most, snapshot);
    if (run) return run;
  }
  return undefined;
}

/** Fewest FLOPs first; of int8/float32 twins, which have equal FLOPs, the faster one first. */
const byCost = (instances: readonly Instance[], predict: Predict) =>
  instances.toSorted((a, b) => a.flops - b.flops || predict(a, 1) - predict(b, 1));
const byAccuracy = (instances: readonly Instance[]) => instances.toSorted((a, b) => b.accuracy - a.accuracy);

const IN_TIME = 'A head that none finishes in time for certain runs alone on the fastest, as with ours.';

export const INFAAS: Contender = {
  name: 'infaas',
  note: `INFaaS (ATC 2021): the cheapest instance that meets the accuracy and latency asked for. Accuracy is in what a picture allows; latency is met by batch 1 in the time left; then the largest batch. Without a limit on accuracy that is always the cheapest, which is how SuperServe compares with it as well. ${IN_TIME}`,
  create: () => ({
    chooseRun: choosing((head, decoded, snapshot) =>
      first(byCost(head.allowed, predictOf(snapshot)), decoded, snapshot),
    ),
  }),
};

export const MAX_ACC: Contender = {
  name: 'maxacc',
  note: `SuperServe's (NSDI 2025) MaxAcc: the most accurate instance whose batch of 1 fits the slack, then its largest batch that does. ${IN_TIME}`,
  create: () => ({
    chooseRun: choosing((head, decoded, snapshot) => first(byAccuracy(head.allowed), decoded, snapshot)),
  }),
};

export const MAX_BATCH_FIRST: Contender = {
  name: 'maxbatch',
  note: `SuperServe's (NSDI 2025) MaxBatch: the largest batch that any instance finishes in the slack, then the most accurate instance at that size. Ours: a batch is never larger than what waits decoded. ${IN_TIME}`,
  create: () => ({
    chooseRun: choosing(<W extends Waiting>(head: W, decoded: readonly W[], snapshot: Snapshot<W>) => {
      const runs = byAccuracy(head.allowed).flatMap((i) => runInTime(i, decoded, MAX_BATCH, snapshot) ?? []);
      return runs.reduce<Run<W> | undefined>(
        (best, run) => (best && best.pictures.length >= run.pictures.length ? best : run),
        undefined,
      );
    }),
  }),
};

interface Choice {
  readonly instance: Instance;
  readonly size: number;
}

/**
 * Table of SlackFit: the upper edge of each bucket in ms, smallest first, and the instance and batch size chosen for
 * it.
 */
export type Buckets = readonly { readonly edgeMs: number; readonly choice: Choice }[];

const BUCKETS = 16;

/**
 * Buckets of equal width, from the time of the fastest run of one picture to that of the slowest full batch. Each
 * bucket has the largest batch that takes no longer than its edge, on the most accurate instance for that size.
 */
export function slackFitBuckets(instances: readonly Instance[], { latency }: Pick<Snapshot, 'latency'>): Buckets {
  const predict = predictOf({ latency });
  const lowest = predict(fastest(instances, latency), 1);
  const highest = Math.max(...instances.map((i) => predict(i, MAX_BATCH)));
  const choices = LARGEST_FIRST.flatMap((size) => byAccuracy(instances).map((instance) => ({ instance, size })));
  return Array.from({ length: BUCKETS }, (_, n) => {
    // Not a sum of steps: rounding could put the last edge below the slowest batch.
    const edgeMs = n === BUCKETS - 1 ? highest : lowest + (n * (highest - lowest)) / (BUCKETS - 1);
    const choice = choices.find((c) => predict(c.instance, c.size) <= edgeMs) as Choice;
    return { edgeMs, choice };
  });
}

export const SLACK_FIT: Contender = {
  name: 'slackfit',
  note: `SlackFit as SuperServe (NSDI 2025) writes it: the slack of the earliest deadline -> the closest bucket below it -> its instance and batch -> that many pictures, earliest deadline first. Undefined there, so ours: ${BUCKETS} buckets, filled from the predictions of the first decision; if fewer wait decoded than the batch takes, those; a bucket's instance that the head does not allow is replaced by the most accurate one that it allows and that fits the slack. ${IN_TIME}`,
  create: (instances) => {
    let buckets: Buckets | undefined;
    return {
      chooseRun: choosing((head, decoded, snapshot) => {
        buckets ??= slackFitBuckets(instances, snapshot);
        const slack = head.deadlineMs - snapshot.nowMs;
        const { choice } = (buckets.findLast((b) => b.edgeMs <= slack) ?? buckets[0]) as Buckets[number];
        const wanted = head.allowed.includes(choice.instance) ? [choice.instance] : byAccuracy(head.allowed);
        return first(wanted, decoded, snapshot, choice.size);
      }),
    };
  },
};
