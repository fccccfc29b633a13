import fc from 'fast-check';
import t from 'tap';
import type { Contender, Finished } from '../../bench/policies/contender.js';
import { fixed, proteus } from '../../bench/policies/one-instance.js';
import { BATCHERS, CHOOSERS, DIMMER, everyFixed } from '../../bench/policies/rivals.js';
import { simulate } from '../../bench/simulate/simulate.js';
import { over, spread, summarise } from '../../bench/simulate/summary.js';
import { CHEAP, FULL, trace, world } from './support.js';

const ALL = [DIMMER, ...everyFixed([FULL, CHEAP]), ...BATCHERS.map((on) => on(CHEAP.id)), ...CHOOSERS];

/** One picture a run, so that batches hide nothing. */
const oneByOne = (id: string): Contender => ({
  ...fixed(id),
  create: (instances) => {
    const { policy } = fixed(id).create(instances);
    return { policy: (waiting, view) => policy(waiting.slice(0, 1), view) };
  },
});

const refusing: Contender['create'] = (instances) => ({ ...fixed('full').create(instances), refuses: () => true });

t.test('a run starts when a thread is free and ends after its duration', (t) => {
  const { answers } = simulate(trace([0, 1]), fixed('full'), world());
  t.match(answers, [
    { fate: 'in time', startMs: 0, endMs: 4, instance: FULL },
    { fate: 'in time', startMs: 4, endMs: 8 },
  ]);
  t.end();
});

t.test('what waits when a thread becomes free runs in one batch', (t) => {
  const { answers } = simulate(trace([0, 1, 2]), fixed('p01-r500'), world());
  t.match(answers, [{ endMs: 2 }, { startMs: 2, endMs: 5 }, { startMs: 2, endMs: 5 }]);
  t.end();
});

t.test('two threads run two at once', (t) => {
  const { answers } = simulate(trace([0, 0]), oneByOne('full'), world({ threads: 2 }));
  t.match(answers, [{ startMs: 0 }, { startMs: 0 }]);
  t.end();
});

t.test('what cannot be in time expires, what takes longer than predicted is late', (t) => {
  const none = simulate(trace([0]), fixed('full'), world({ deadlineMs: 3 }));
  t.match(none.answers, [{ fate: 'expired' }]);
  const slow = simulate(trace([0]), fixed('full'), world({ durationMs: () => 11 }));
  t.match(slow.answers, [{ fate: 'late', endMs: 11 }]);
  t.end();
});

t.test('what admission refuses never runs', (t) => {
  const { answers } = simulate(trace([0]), { ...fixed('full'), create: refusing }, world());
  t.same(answers, [{ fate: 'refused', arrivalMs: 0 }]);
  t.end();
});

t.test('a policy that waits is asked again at its moment', (t) => {
  const { answers } = simulate(trace([0]), proteus('p01-r500'), world());
  t.match(answers, [{ startMs: 7 }], 'deadline 10 less 3 ms for a batch of two');
  t.end();
});

t.test('a killed thread fails what it runs, and is back after a second', (t) => {
  const { answers } = simulate(trace([0, 3, 999], { killThreadAtMs: 1 }), fixed('full'), world({ deadlineMs: 2000 }));
  t.match(answers, [{ fate: 'failed' }, { fate: 'in time', startMs: 1001 }, { fate: 'in time', startMs: 1001 }]);
  t.end();
});

t.test('a policy learns what became of its runs', (t) => {
  const facts: Finished[] = [];
  const learning: Contender = {
    ...fixed('full'),
    create: (instances) => ({ ...fixed('full').create(instances), finished: (f) => facts.push(f) }),
  };
  simulate(trace([0]), learning, world({ durationMs: () => 12 }));
  t.match(facts, [{ instance: FULL, size: 1, predictedMs: 4, actualMs: 12, missed: 1 }]);
  t.end();
});

const arrivals = fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 25 }).map((a) => a.sort((x, y) => x - y));

for (const contender of ALL) {
  t.test(`${contender.name}: every picture has one end, and none is late where predictions are exact`, (t) => {
    fc.assert(
      fc.property(arrivals, fc.integer({ min: 1, max: 2 }), (arrivalsMs, threads) => {
        const { answers } = simulate(trace(arrivalsMs), contender, world({ threads }));
        const allowed =
          contender.name === 'clipper' ? ['in time', 'late', 'expired'] : ['in time', 'refused', 'expired'];
        return answers.length === arrivalsMs.length && answers.every((a) => allowed.includes(a.fate));
      }),
    );
    t.end();
  });
}

t.test('the same scene is simulated the same', (t) => {
  const run = () => simulate(trace([0, 1, 1, 2, 3, 5, 8, 13]), DIMMER, world()).answers;
  t.same(run(), run());
  t.end();
});

t.test('figures are of all arrivals', (t) => {
  const figures = summarise({
    answers: [
      { fate: 'in time', arrivalMs: 0, startMs: 0, endMs: 4, instance: FULL },
      { fate: 'in time', arrivalMs: 0, startMs: 0, endMs: 2, instance: CHEAP },
      { fate: 'late', arrivalMs: 0, startMs: 0, endMs: 20, instance: FULL },
      { fate: 'refused', arrivalMs: 0 },
    ],
    decisionsMs: [1],
  });
  t.match(figures, { attainment: 0.5, utility: 1.5 / 4, accuracy: 0.75, costShare: 0.625, late: 0.25, refused: 0.25 });
  t.same(spread([1, 3]), { mean: 2, sd: Math.SQRT2 });
  t.same(over([figures, figures]).attainment, { mean: 0.5, sd: 0 });
  t.end();
});
