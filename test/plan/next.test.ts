import fc from 'fast-check';
import t from 'tap';
import { type Action, next } from '../../src/plan/next.js';
import { byRank, type Snapshot, type Waiting } from '../../src/plan/snapshot.js';
import { BATCH_SIZES } from '../../src/runtime/batch-sizes.js';
import { times } from '../support/fake-latency.js';
import { FAMILY, FULL, HALF, instance, predict, QUARTER, THIRD } from '../support/instances.js';
import { snapshot, waiting } from '../support/snapshot.js';

const some = (count: number, facts: Partial<Waiting>) => Array.from({ length: count }, () => waiting(facts));
const decide = (all: readonly Waiting[], facts: Partial<Snapshot> = {}) => next(snapshot(all, facts));
const runOf = (action: Action<Waiting>) =>
  action.type === 'run' ? [action.instance.id, action.pictures.length] : action;

t.test('one picture gets the most accurate instance that it allows; with less slack, a cheaper one', (t) => {
  t.same(runOf(decide([waiting()])), ['full', 1]);
  t.same(runOf(decide([waiting({ deadlineMs: 12 })])), ['full', 1]);
  t.same(runOf(decide([waiting({ deadlineMs: 9 })])), [HALF.id, 1]);
  t.same(runOf(decide([waiting({ deadlineMs: 4 })])), [THIRD.id, 1]);
  t.same(runOf(decide([waiting({ deadlineMs: 100, allowed: [HALF, QUARTER] })])), [HALF.id, 1], 'a limit holds');
  t.end();
});

t.test('batches grow with the queue, in the sizes that run, as far as deadlines let them', (t) => {
  const sizes = [1, 2, 3, 5, 8, 20].map((n) => runOf(decide(some(n, { allowed: [QUARTER], deadlineMs: 900 }))));
  t.same(
    sizes.map((s) => (s as [string, number])[1]),
    [1, 2, 2, 4, 8, 8],
  );
  t.same(runOf(decide(some(8, { allowed: [QUARTER], deadlineMs: 9 }))), [QUARTER.id, 4], 'eight take 16 ms');
  t.end();
});

t.test('on a GPU batches are larger, and more pictures are decoded ahead of them', (t) => {
  const device = { batchSizes: BATCH_SIZES.cuda };
  const sizes = [1, 3, 8, 20, 63, 64, 100].map((n) =>
    runOf(decide(some(n, { allowed: [QUARTER], deadlineMs: 900 }), device)),
  );
  t.same(
    sizes.map((s) => (s as [string, number])[1]),
    [1, 2, 8, 16, 32, 64, 64],
  );
  t.same(runOf(decide(some(64, { allowed: [QUARTER], deadlineMs: 70 }), device)), [QUARTER.id, 32], '64 take 128 ms');
  const afterReady = (count: number, deadlineMs: number) =>
    decide([...some(count, { deadlineMs: 90 }), waiting({ stage: 'encoded', deadlineMs })], {
      ...device,
      idleThreads: 0,
    }).type;
  t.same(
    [63, 64].map((n) => afterReady(n, 100)),
    ['decode', 'wait'],
    'a full batch',
  );
  t.same(
    [127, 128].map((n) => afterReady(n, Number.POSITIVE_INFINITY)),
    ['decode', 'wait'],
    'without a deadline one more for each thread',
  );
  t.end();
});

t.test('a GPU is not kept idle for a fuller batch while decodes use all CPUs', (t) => {
  const decoding = waiting({ stage: 'decoding', deadlineMs: 100, decode: times(3), allowed: [QUARTER] });
  const facts = { decodePlaces: { short: 0, long: 0 }, batchSizes: BATCH_SIZES.cuda };
  const runs = (networks: boolean, its: Partial<Waiting>) =>
    decide([waiting({ allowed: [QUARTER], ...its }), decoding].sort(byRank), {
      ...facts,
      cpus: { count: 1, answerMs: 0, perRun: 1, networks },
    }).type;
  for (const its of [{ deadlineMs: 500 }, {}, { bestEffort: true, strict: false }]) {
    t.equal(runs(false, its), 'run');
    t.equal(runs(true, its), 'wait', 'while networks need those CPUs');
  }
  t.end();
});

t.test('idle threads share what waits', (t) => {
  const two = { threads: 2, idleThreads: 2 };
  t.same(runOf(decide(some(2, { allowed: [QUARTER] }), two)), [QUARTER.id, 1]);
  t.same(runOf(decide(some(8, { allowed: [QUARTER] }), two)), [QUARTER.id, 4]);
  t.end();
});

t.test('a batch takes the pictures with the same instance, also if others are between them', (t) => {
  const [head, other, same] = [
    waiting({ deadlineMs: 100, allowed: [FULL] }),
    waiting({ deadlineMs: 101, allowed: [HALF] }),
    waiting({ deadlineMs: 102, allowed: [FULL, HALF] }),
  ];
  const action = decide([head, other, same]);
  t.same(action, { type: 'run', instance: FULL, pictures: [head, same] });
  const foreign = { ...instance('full'), family: 'other', key: 'other/full' };
  const its = waiting({ deadlineMs: 101, allowed: [foreign] });
  t.same(decide([head, its]), { type: 'run', instance: FULL, pictures: [head] }, 'of one family');
  t.end();
});

t.test('pictures that can no longer be in time are dropped first; the time of their decoding counts', (t) => {
  const [doomed, fine] = [waiting({ deadlineMs: 2 }), waiting({ deadlineMs: 3 })];
  t.same(decide([doomed, fine]), { type: 'drop', pictures: [doomed] });
  const encoded = waiting({ stage: 'encoded', deadlineMs: 12, decode: times(10) });
  t.same(decide([encoded, fine]), { type: 'drop', pictures: [encoded] });
  const decoding = waiting({ stage: 'decoding', deadlineMs: 12, decode: times(10) });
  t.same(runOf(decide([fine, decoding])), [QUARTER.id, 1], 'it may be decoded the next moment');
  const bestEffort = waiting({ deadlineMs: 2, bestEffort: true, strict: false });
  t.same(runOf(decide([bestEffort])), [QUARTER.id, 1], 'best effort is never dropped');
  t.end();
});

t.test('a picture alone in the service is judged by the times of an idle host', (t) => {
  const latency = { run: (_: string, size: number) => ({ ...times(50 * size), idleMs: 5 }) };
  t.equal(decide([waiting({ deadlineMs: 20 })], { latency }).type, 'run');
  t.equal(decide(some(2, { deadlineMs: 20 }), { latency }).type, 'drop');
  t.end();
});

t.test('best effort runs after all others, on its cheapest', (t) => {
  const late = waiting({ bestEffort: true, strict: false, deadlineMs: 5 });
  t.same(runOf(decide([waiting({ deadlineMs: 100, allowed: [FULL] }), late])), ['full', 1]);
  t.same(runOf(decide([late, { ...late }])), [QUARTER.id, 2]);
  t.end();
});

t.test('best effort uses idle CPUs only, but is served even if no CPU is available', (t) => {
  const late = { bestEffort: true, strict: false, deadlineMs: 5 } as const;
  const encoded = waiting({ ...late, stage: 'encoded' });
  const decoding = waiting({ stage: 'decoding', deadlineMs: 100, decode: times(3) });
  const run = { startMs: 0, endMs: 9, cpuMs: 9 };
  const wait = { type: 'wait', untilMs: Number.POSITIVE_INFINITY };
  t.same(decide([encoded]), { type: 'decode', picture: encoded });
  t.same(decide([decoding, encoded]), wait);
  t.same(decide([encoded], { running: [run], idleThreads: 0 }), wait);
  t.same(decide([decoding, encoded], { threads: 2 }).type, 'decode', 'the other CPU is idle');
  t.same(decide([decoding, ...some(8, late)]), wait, 'not even a full batch');
  t.same(runOf(decide(some(8, late))), [QUARTER.id, 8]);
  const cpus = { count: 0, answerMs: 0, perRun: 1, networks: true };
  t.same(decide([encoded], { cpus }), { type: 'decode', picture: encoded });
  t.same(runOf(decide([waiting(late)], { cpus })), [QUARTER.id, 1]);
  t.end();
});

t.test('pictures are decoded earliest deadline first, as far as the decoder has places', (t) => {
  const [first, second] = [
    waiting({ stage: 'encoded', deadlineMs: 100 }),
    waiting({ stage: 'encoded', deadlineMs: 101 }),
  ];
  t.same(decide([first, second]), { type: 'decode', picture: first });
  const long = { ...first, long: true };
  const places = { short: 1, long: 0 };
  t.same(
    decide([long, second], { decodePlaces: places }),
    { type: 'decode', picture: second },
    'a photograph lets it pass',
  );
  t.same(decide([long], { decodePlaces: places }), { type: 'wait', untilMs: Number.POSITIVE_INFINITY });
  t.same(decide([first], { decodePlaces: { short: 0, long: 0 } }).type, 'wait');
  t.same(decide([...some(4, { deadlineMs: 90 }), first], { idleThreads: 0 }).type, 'decode');
  t.same(decide([...some(8, { deadlineMs: 90 }), first], { idleThreads: 0 }).type, 'wait', 'enough are decoded');
  t.same(decide([...some(8, { deadlineMs: 90 }), first], { idleThreads: 0, threads: 3 }).type, 'decode');
  t.same(
    decide([first, ...some(8, { deadlineMs: 200 })], { idleThreads: 0 }).type,
    'decode',
    'those behind do not count',
  );
  const [patient, busy] = [waiting({ stage: 'encoded' }), { idleThreads: 0, threads: 2 }];
  t.same(decide([...some(23, {}), patient], busy).type, 'decode', 'without a deadline nothing decoded expires');
  t.same(decide([...some(24, {}), patient], busy).type, 'wait');
  t.end();
});

t.test('while decoding keeps the CPUs busy, a batch that is not full waits as long as deadlines let it', (t) => {
  const decoding = waiting({ stage: 'decoding', deadlineMs: 100, decode: times(3), allowed: [QUARTER] });
  const full = { decodePlaces: { short: 0, long: 0 } };
  const head = waiting({ deadlineMs: 100, allowed: [QUARTER] });
  t.same(decide([head, decoding], full), { type: 'wait', untilMs: 100 - predict(QUARTER, 8) });
  t.same(runOf(decide([head, decoding], { ...full, nowMs: 84 })), [QUARTER.id, 1], 'its time has come');
  t.same(runOf(decide([head, decoding], { ...full, threads: 2 })), [QUARTER.id, 1], 'a CPU is idle');
  t.same(runOf(decide([head], full)), [QUARTER.id, 1], 'nothing is decoded');
  t.same(runOf(decide([...some(8, { deadlineMs: 100, allowed: [QUARTER] }), decoding], full)), [QUARTER.id, 8]);
  t.end();
});

t.test('without a deadline a picture gives way, but not for ever', (t) => {
  const patient = waiting({ allowed: [FULL], arrivalMs: 0 });
  const due = waiting({ deadlineMs: 900, arrivalMs: 500 });
  const later = waiting({ deadlineMs: 1100, arrivalMs: 500 });
  t.same([later, patient, due].sort(byRank), [due, patient, later]);
  t.end();
});

const anyPicture = fc
  .record({
    stage: fc.constantFrom('encoded', 'decoding', 'decoded'),
    allowed: fc.constantFrom(FAMILY, FAMILY.slice(1), [QUARTER], [FULL]),
    deadlineMs: fc.oneof(fc.integer({ min: -10, max: 200 }), fc.constant(Number.POSITIVE_INFINITY)),
    strict: fc.boolean(),
    late: fc.boolean(),
    arrivalMs: fc.integer({ min: -100, max: 0 }),
    decodeMs: fc.double({ min: 0.01, max: 60, noNaN: true }),
    long: fc.boolean(),
  })
  .map(({ late, decodeMs, ...facts }) =>
    waiting({ ...(facts as Partial<Waiting>), bestEffort: late && !facts.strict, decode: times(decodeMs) }),
  );
const anySnapshot = fc
  .record({
    all: fc.array(anyPicture, { maxLength: 80 }),
    threads: fc.integer({ min: 1, max: 4 }),
    idle: fc.integer({ min: 0, max: 4 }),
    short: fc.integer({ min: 0, max: 3 }),
    long: fc.integer({ min: 0, max: 2 }),
    arrivalsPerMs: fc.double({ min: 0, max: 3, noNaN: true }),
    count: fc.double({ min: 0, max: 4, noNaN: true }),
    device: fc.constantFrom('cpu' as const, 'cuda' as const),
  })
  .map(({ all, threads, idle, short, long, arrivalsPerMs, count, device }) =>
    snapshot(all.sort(byRank), {
      threads,
      idleThreads: Math.min(idle, threads),
      decodePlaces: { short, long: Math.min(short, long) },
      arrivalsPerMs,
      cpus: { count, answerMs: 0.5, perRun: 1, networks: device === 'cpu' },
      batchSizes: BATCH_SIZES[device],
    }),
  );

t.test('for any queue the action is possible, within limits, in time, and repeatable', (t) => {
  fc.assert(
    fc.property(anySnapshot, (now) => {
      const action = next(now);
      const { nowMs, waiting: all, idleThreads, decodePlaces, batchSizes } = now;
      const head = all.find((w) => w.stage === 'decoded');
      if (JSON.stringify(next(now)) !== JSON.stringify(action)) return false;
      switch (action.type) {
        case 'drop':
          return (
            action.pictures.length > 0 && action.pictures.every((w) => !w.bestEffort && w.deadlineMs < nowMs + 100)
          );
        case 'decode':
          return action.picture.stage === 'encoded' && decodePlaces[action.picture.long ? 'long' : 'short'] > 0;
        case 'run': {
          const { instance: its, pictures } = action;
          const size = pictures.length;
          return (
            idleThreads > 0 &&
            pictures[0] === head &&
            batchSizes.includes(size) &&
            new Set(pictures).size === size &&
            pictures.every((w) => w.stage === 'decoded' && w.allowed.includes(its)) &&
            pictures.every((w) => w.bestEffort || nowMs + predict(its, size) <= w.deadlineMs)
          );
        }
        case 'wait':
          return (
            action.untilMs > nowMs &&
            (head === undefined ||
              idleThreads === 0 ||
              action.untilMs <= 1000 ||
              all.some((w) => w.stage === 'decoding'))
          );
      }
    }),
    { numRuns: 1000 },
  );
  t.end();
});
