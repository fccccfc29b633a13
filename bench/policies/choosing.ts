/** Rivals that choose an instance for each batch, within what the picture at the head of the queue allows. */
import type { Instance } from '../../src/family/instance.js';
import { BATCH_SIZES, fastest, MAX_BATCH, type Predict, type Waiting } from '../../src/policy/picture.js';
import { candidates, type Decision, type Run, triage, type View } from '../../src/policy/policy.js';
import type { Contender } from './contender.js';

const LARGEST_FIRST = [...BATCH_SIZES].reverse();

/** A policy that drops what is doomed and picks one of the runs that keep their pictures in time. */
const picking = (
  name: string,
  note: string,
  pick: <W extends Waiting>(head: W, alive: readonly W[], view: View) => Run<W> | undefined,
): Contender => ({
  name,
  note,
  create: () => ({
    policy: <W extends Waiting>(waiting: readonly W[], view: View): Decision<W> => {
      const { alive, expired, turnedLate } = triage(waiting, view);
      const head = alive[0];
      const run = head && pick(head, alive, view);
      return run ? { expired, turnedLate, run } : { expired, turnedLate };
    },
  }),
});

/** Of twins, which have the same FLOPs, the faster one first. */
const byCost = (instances: readonly Instance[], { predict }: View) =>
  instances.toSorted((a, b) => a.flops - b.flops || predict(a, 1) - predict(b, 1));
const byAccuracy = (instances: readonly Instance[]) => instances.toSorted((a, b) => b.accuracy - a.accuracy);

export const INFAAS = picking(
  'infaas',
  'INFaaS (ATC 2021): the cheapest instance that meets the accuracy and latency asked for. Accuracy is in what a picture allows; latency is met by batch 1 in the time left; then the largest batch. Without a limit on accuracy that is always the cheapest, which is how SuperServe compares with it as well.',
  (head, alive, view) => candidates(byCost(head.allowed, view), alive, MAX_BATCH, view)[0],
);

export const MAX_ACC = picking(
  'maxacc',
  "SuperServe's (NSDI 2025) MaxAcc: the most accurate instance whose batch of 1 fits the slack, then its largest batch that does.",
  (head, alive, view) => candidates(byAccuracy(head.allowed), alive, MAX_BATCH, view)[0],
);

export const MAX_BATCH_FIRST = picking(
  'maxbatch',
  "SuperServe's (NSDI 2025) MaxBatch: the largest batch that any instance finishes in the slack, then the most accurate instance at that size. Ours: a batch is never larger than what waits.",
  (head, alive, view) => {
    const runs = candidates(byAccuracy(head.allowed), alive, MAX_BATCH, view);
    const largest = Math.max(...runs.map((run) => run.pictures.length));
    return runs.find((run) => run.pictures.length === largest);
  },
);

interface Choice {
  readonly instance: Instance;
  readonly size: number;
}

/** SlackFit's table: upper edge of each bucket in ms, smallest first, and the choice it keeps. */
export type Buckets = readonly { readonly edgeMs: number; readonly choice: Choice }[];

const BUCKETS = 16;

/**
 * Evenly spaced from the fastest single run to the longest full batch. Each keeps, of what is no longer than its edge,
 * the largest batch, and of those the most accurate.
 */
export function slackFitBuckets(instances: readonly Instance[], predict: Predict): Buckets {
  const lowest = predict(fastest(instances, predict), 1);
  const highest = Math.max(...instances.map((i) => predict(i, MAX_BATCH)));
  const choices = LARGEST_FIRST.flatMap((size) => byAccuracy(instances).map((instance) => ({ instance, size })));
  return Array.from({ length: BUCKETS }, (_, n) => {
    // Not as a sum of steps, whose rounding could leave the ends out.
    const edgeMs = n === BUCKETS - 1 ? highest : lowest + (n * (highest - lowest)) / (BUCKETS - 1);
    const choice = choices.find((c) => predict(c.instance, c.size) <= edgeMs) as Choice;
    return { edgeMs, choice };
  });
}

export const SLACK_FIT: Contender = {
  name: 'slackfit',
  note: `SlackFit as SuperServe (NSDI 2025) writes it: the slack of the earliest deadline -> the closest bucket below it -> its instance and batch -> that many pictures, earliest deadline first. Undefined there, so ours: ${BUCKETS} buckets, filled from the predictions of the first decision; slack below the lowest bucket is less than the fastest single run, so the picture is dropped; if fewer wait than the batch takes, those; a bucket's instance that the head does not allow is replaced by the most accurate one that it allows and that fits the slack.`,
  create: (instances) => {
    let buckets: Buckets | undefined;
    return {
      policy: <W extends Waiting>(waiting: readonly W[], view: View): Decision<W> => {
        buckets ??= slackFitBuckets(instances, view.predict);
        const { alive, expired, turnedLate } = triage(waiting, view);
        const head = alive[0];
        if (!head) return { expired, turnedLate };
        const slack = head.deadlineMs - view.nowMs;
        const { choice } = (buckets.findLast((b) => b.edgeMs <= slack) ?? buckets[0]) as Buckets[number];
        const wanted = head.allowed.includes(choice.instance) ? [choice.instance] : byAccuracy(head.allowed);
        const run = candidates(wanted, alive, choice.size, view)[0];
        return run ? { expired, turnedLate, run } : { expired, turnedLate };
      },
    };
  },
};
