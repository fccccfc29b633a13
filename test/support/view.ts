import type { Predict } from '../../src/policy/picture.js';
import type { View } from '../../src/policy/policy.js';

/** Makes views of one idle thread that has nothing else to do and runs that take what is predicted, but for the facts given. */
export const viewsWith =
  (predict: Predict) =>
  (facts: Partial<View> = {}): View => ({
    nowMs: 0,
    threads: 1,
    idle: 1,
    capacity: facts.threads ?? 1,
    besidesMs: 0,
    decoding: 0,
    decodingDueMs: Number.NEGATIVE_INFINITY,
    runningUntilMs: [],
    arrivalsPerMs: 0,
    dispersion: 0,
    predict,
    expect: predict,
    cost: predict,
    ...facts,
  });
