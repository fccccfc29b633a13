import t from 'tap';
import { Live } from '../../src/telemetry/live.js';

const picture = (instance: string, accuracy: number, share: number) => ({ instance, accuracy, share });

t.test('a second is summed up, and forgotten', (t) => {
  const live = new Live();
  live.watch();
  for (let n = 1; n <= 20; n++) {
    live.answered(() => ({
      model: 'm',
      pictures: [picture('full', 0.9, 1)],
      totalMs: n,
      promisedMs: n <= 10 ? 8 : undefined,
    }));
  }
  live.answered(() => ({
    model: 'm',
    pictures: [picture('p01-r500', 0.7, 0.25), picture('p01-r500', 0.7, 0.25)],
    totalMs: 100,
    promisedMs: 50,
  }));
  live.refused(() => 30);
  live.refused(() => undefined);
  t.same(live.take(), {
    pictures: 22,
    answered: 21,
    refused: 2,
    latencyMs: { p50: 11, p95: 20 },
    promisedMs: 8,
    promises: { kept: 8, of: 12 },
    accuracy: Number(((20 * 0.9 + 2 * 0.7) / 22).toFixed(6)),
    cost: Number(((20 + 0.5) / 22).toFixed(6)),
    instances: [
      { model: 'm', instance: 'full', pictures: 20 },
      { model: 'm', instance: 'p01-r500', pictures: 2 },
    ],
  });
  const nothing = {
    pictures: 0,
    answered: 0,
    refused: 0,
    latencyMs: null,
    promisedMs: null,
    promises: { kept: 0, of: 0 },
    accuracy: null,
    cost: null,
    instances: [],
  };
  t.same(live.take(), nothing);
  live.answered(() => ({ model: 'm', pictures: [picture('full', 0.9, 1)], totalMs: 1, promisedMs: 8 }));
  live.unwatch();
  live.answered(() => ({ model: 'm', pictures: [picture('full', 0.9, 1)], totalMs: 1, promisedMs: 8 }));
  live.refused(() => {
    throw new Error('nobody watches, so nobody asks');
  });
  t.same(live.take(), nothing, 'nothing is kept while nobody watches');
  t.end();
});
