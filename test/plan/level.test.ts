import t from 'tap';
import { levelOf } from '../../src/plan/level.js';
import { choiceAt, offersOf } from '../../src/plan/price.js';
import type { Snapshot, Waiting } from '../../src/plan/snapshot.js';
import { times } from '../support/fake-latency.js';
import { FAMILY, FULL, QUARTER } from '../support/instances.js';
import { snapshot, waiting } from '../support/snapshot.js';

const offers = offersOf(snapshot([]));
/** The instance that a picture gets at the level if it allows the whole family. */
const chosen = (all: readonly Waiting[], facts: Partial<Snapshot> = {}) =>
  choiceAt(offers(FAMILY), levelOf(snapshot(all, facts), offers)).instance.id;
const some = (count: number, facts: Partial<Waiting>) => Array.from({ length: count }, () => waiting(facts));

t.test('with enough slack everybody gets the most accurate instance; with less slack a cheaper one', (t) => {
  t.equal(chosen(some(1, { deadlineMs: 100 })), 'full');
  t.equal(chosen(some(1, { deadlineMs: 1 })), 'p01-r500', 'where nothing fits: the cheapest');
  const levels = [200, 100, 60, 40, 30].map((deadlineMs) => levelOf(snapshot(some(12, { deadlineMs })), offers));
  t.same(
    levels,
    levels.toSorted((a, b) => a - b),
  );
  t.equal(levels[0], 0);
  t.ok((levels.at(-1) as number) > 0);
  t.end();
});

t.test('the deadline of every waiting picture counts, not only the last one', (t) => {
  const loose = some(3, { deadlineMs: 500 });
  t.equal(chosen(loose), 'full');
  t.not(chosen([...some(3, { deadlineMs: 20 }), ...loose]), 'full');
  t.end();
});

t.test('decoding that is to be done, overhead, runs under way and CPUs that others use leave less time', (t) => {
  const all = some(4, { deadlineMs: 45 });
  t.equal(chosen(all), 'full', '32 ms of 45, and its own run');
  const encoded = { stage: 'encoded', decode: times(5), deadlineMs: 45 } as const;
  t.not(chosen(some(4, encoded)), 'full');
  t.not(chosen(all, { cpus: { count: 1, answerMs: 12, perRun: 1, networks: true } }), 'full');
  t.not(chosen(all, { running: [{ startMs: 0, endMs: 20, cpuMs: 20 }] }), 'full');
  t.not(chosen(all, { cpus: { count: 0.5, answerMs: 0, perRun: 1, networks: true } }), 'full');
  t.equal(
    chosen(all, { cpus: { count: 8, answerMs: 12, perRun: 1, networks: true } }),
    'full',
    'networks have their threads only',
  );
  t.not(chosen(some(12, { deadlineMs: 45 }), { cpus: { count: 8, answerMs: 0, perRun: 1, networks: true } }), 'full');
  t.end();
});

t.test('expected arrivals count, and more so if they are bursty', (t) => {
  const all = some(1, { deadlineMs: 50 });
  const at = (arrivalsPerMs: number, dispersion = 1) => levelOf(snapshot(all, { arrivalsPerMs, dispersion }), offers);
  t.equal(at(0.02), 0);
  t.ok(at(0.3) > 0);
  t.ok(at(0.4) >= at(0.3));
  t.equal(choiceAt(offers(FAMILY), at(5)).instance, QUARTER);
  t.ok(at(0.1, 20) > at(0.1), 'bursts');
  t.end();
});

t.test(
  'best effort and pictures without a deadline press nobody; those without a choice are work all the same',
  (t) => {
    const head = waiting({ deadlineMs: 60 });
    t.equal(chosen([head, ...some(50, { bestEffort: true, deadlineMs: 1, strict: false })]), 'full');
    t.equal(levelOf(snapshot(some(50, {}), { arrivalsPerMs: 9 }), offers), 0);
    t.equal(chosen([waiting({ deadlineMs: 60, allowed: [FULL] }), head]), 'full');
    t.not(chosen([...some(7, { deadlineMs: 60, allowed: [FULL] }), head]), 'full');
    t.equal(levelOf(snapshot([], {}), offers), 0);
    t.equal(levelOf(snapshot(some(3, { allowed: [QUARTER], deadlineMs: 3 }), {}), offers), 0);
    t.end();
  },
);

t.test('if instances are far apart in accuracy, a higher risk of lost arrivals is accepted', (t) => {
  const all = some(4, { deadlineMs: 80 });
  const accurate = (top1: number) => FAMILY.map((i) => (i === FULL ? { ...i, accuracy: top1 } : i));
  const levels = [0.885, 0.97].map((top1) => {
    const its = accurate(top1);
    const now = snapshot(
      all.map((w) => ({ ...w, allowed: its })),
      { arrivalsPerMs: 0.09, dispersion: 4 },
    );
    const of = offersOf(now);
    return choiceAt(of(its), levelOf(now, of)).instance.id;
  });
  t.not(levels[0], 'full');
  t.equal(levels[1], 'full');
  t.end();
});

t.test('a picture that is late at any price takes no accuracy from the others', (t) => {
  const head = waiting({ deadlineMs: 90 });
  t.equal(chosen([waiting({ deadlineMs: 1 }), head]), 'full');
  t.not(chosen([waiting({ deadlineMs: 9 }), head]), 'full', 'one that a cheaper instance keeps in time');
  t.end();
});
