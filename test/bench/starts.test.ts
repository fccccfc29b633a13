import t from 'tap';
import { type Start, servedOf, swaps } from '../../bench/starts/compare.js';

const start = (ms: Record<string, number>, served = Object.keys(ms)): Start => ({
  cache: 'empty',
  readyMs: 1,
  instances: Object.entries(ms).map(([name, its]) => {
    const [model, id] = name.split('/') as [string, string];
    return { model, id, served: served.includes(name), latencyMs: { 1: its } };
  }),
});

t.test('pairs that differ clearly may not swap; those that are close, and of two families, may', (t) => {
  const first = start({ 'f/a': 10, 'f/b': 20, 'f/c': 11, 'g/d': 30 });
  t.same(swaps([first, start({ 'f/a': 11, 'f/b': 19, 'f/c': 10, 'g/d': 5 })], 0.2), []);
  t.same(swaps([first, start({ 'f/a': 25, 'f/b': 20, 'f/c': 11, 'g/d': 30 })], 0.2), [
    { size: '1', pair: ['f/a', 'f/b'] },
  ]);
  t.end();
});

t.test('served instances are compared by name, in any order', (t) => {
  t.same(servedOf(start({ 'f/b': 1, 'f/a': 1, 'f/c': 1 }, ['f/b', 'f/a'])), ['f/a', 'f/b']);
  t.end();
});
