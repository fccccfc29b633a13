/** Over time: whatever arrives, every picture is decided within a bound. */
import fc from 'fast-check';
import t from 'tap';
import type { Instance } from '../../src/family/instance.js';
import { byRank, fastest, type Waiting } from '../../src/policy/picture.js';
import { decide } from '../../src/policy/policy.js';
import { FAMILY, FULL, predict, QUARTER } from '../support/instances.js';

/** How long a picture without a deadline may be overtaken: src/policy/picture.ts. */
const PATIENCE_MS = 1000;

interface Fate {
  readonly picture: Waiting;
  /** When it was run or dropped. */
  readonly decidedMs: number;
  readonly dropped: boolean;
}

const viewAt = (nowMs: number) => ({
  nowMs,
  threads: 1,
  idle: 1,
  capacity: 1,
  besidesMs: 0,
  decoding: 0,
  decodingDueMs: Number.NEGATIVE_INFINITY,
  runningUntilMs: [],
  arrivalsPerMs: 0.5,
  dispersion: 1,
  predict,
  expect: predict,
  cost: predict,
});

/**
 * One thread that takes arrivals, in order of time, until all is decided. Throws if pictures wait and
 * nothing happens.
 */
function serve(arrivals: readonly Waiting[]): Fate[] {
  const fates: Fate[] = [];
  const coming = [...arrivals];
  let [waiting, nowMs]: [Waiting[], number] = [[], 0];
  while (coming.length || waiting.length) {
    if (waiting.length === 0) nowMs = Math.max(nowMs, coming[0]?.arrivalMs ?? nowMs);
    waiting.push(...coming.splice(0, coming.filter((w) => w.arrivalMs <= nowMs).length));
    waiting.sort(byRank);
    const { run, expired, turnedLate } = decide(waiting, viewAt(nowMs));
    const ran = run?.pictures ?? [];
    const gone = new Set([...ran, ...expired, ...turnedLate]);
    if (gone.size === 0) throw new Error('pictures wait and nothing happens');
    for (const picture of ran) fates.push({ picture, decidedMs: nowMs, dropped: false });
    for (const picture of expired) fates.push({ picture, decidedMs: nowMs, dropped: true });
    const late = turnedLate.map((w) => ({ ...w, late: true, allowed: [fastest(w.allowed, predict)] }));
    waiting = [...waiting.filter((w) => !gone.has(w)), ...late];
    nowMs += run?.predictedMs ?? 0;
  }
  return fates;
}

const LIMITS: Instance[][] = [FAMILY, FAMILY.slice(1), [QUARTER], [FULL]];
const traffic = fc
  .array(
    fc.record({
      gapMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 12 })),
      allowed: fc.constantFrom(...LIMITS),
      latencyMs: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constant(Number.POSITIVE_INFINITY)),
      strict: fc.boolean(),
    }),
    { minLength: 1, maxLength: 120 },
  )
  .map((requests) => {
    let arrivalMs = 0;
    return requests.map(({ gapMs, allowed, latencyMs, strict }): Waiting => {
      arrivalMs += gapMs;
      return { allowed, deadlineMs: arrivalMs + latencyMs, strict, late: false, arrivalMs };
    });
  });

t.test('nothing is lost, and who is strict is decided by its deadline and a run', (t) => {
  fc.assert(
    fc.property(traffic, (arrivals) => {
      const fates = serve(arrivals);
      const longestRunMs = predict(FULL, 8);
      return (
        fates.length === arrivals.length &&
        fates.every(
          ({ picture, decidedMs }) =>
            !picture.strict ||
            picture.deadlineMs === Number.POSITIVE_INFINITY ||
            decidedMs <= picture.deadlineMs + longestRunMs,
        ) &&
        fates.every(({ picture, dropped }) => !dropped || picture.strict)
      );
    }),
    { numRuns: 300 },
  );
  t.end();
});

t.test('under a load that never ends, a picture without a deadline runs within a second and a batch', (t) => {
  const patient: Waiting = {
    allowed: [FULL],
    deadlineMs: Number.POSITIVE_INFINITY,
    strict: true,
    late: false,
    arrivalMs: 0,
  };
  // Twice what the cheapest can do: somebody with a deadline always waits.
  const flood = Array.from(
    { length: 2000 },
    (_, n): Waiting => ({
      allowed: FAMILY,
      deadlineMs: n + 200,
      strict: true,
      late: false,
      arrivalMs: n,
    }),
  );
  const found = serve([patient, ...flood]).find((f) => f.picture === patient);
  t.ok(found && found.decidedMs > 100, 'it gives way');
  t.ok(found && found.decidedMs <= PATIENCE_MS + predict(FULL, 8), `not for ever: ${found?.decidedMs}`);
  t.end();
});
