/** Mutants that no test can kill, because the changed code behaves the same; each with the reason. */
import type { Equivalent } from './summary.js';

export const EQUIVALENTS: readonly Equivalent[] = [
  {
    file: 'src/router/choice.ts',
    line: 'const inTime = one !== undefined && latency !== undefined && offer.idleMs(one) <= latency;',
    from: 'latency !== undefined',
    to: 'true',
    reason: 'no number is at most undefined; the test is there for types',
  },
  {
    file: 'src/router/choice.ts',
    line: 'a.flops - b.flops || offer.idleMs(a) - offer.idleMs(b) || b.accuracy - a.accuracy;',
    from: 'b.accuracy - a.accuracy',
    to: 'b.accuracy + a.accuracy',
    reason: 'the list comes with the most accurate first, and a stable sort keeps that: V8 asks of the later one first',
  },
  {
    file: 'src/engine/softmax.ts',
    line: '.sort((a, b) => (values[b] as number) - (values[a] as number) || a - b)',
    from: 'a - b',
    to: 'a + b',
    reason: 'indices come in their order, and a stable sort keeps that: V8 asks of the later one first',
  },
  {
    file: 'src/engine/twins.ts',
    line: 'for (let y = 0, at = 0; y < height; y++) {',
    from: 'y < height',
    to: 'y <= height',
    reason: 'what is written beyond the end of a typed array is dropped',
  },
  {
    file: 'src/scheduler/order.ts',
    line: 'if (places > 0 && deadlineMs > last && deadlineMs !== Number.POSITIVE_INFINITY) last = deadlineMs;',
    from: 'deadlineMs > last',
    to: 'deadlineMs >= last',
    reason: 'an equal one is put in the place of itself',
  },
  {
    file: 'src/image/cut.ts',
    line: 'if (from > left) row.fill(first, 0, (from - left) * channels);',
    from: 'from > left',
    to: 'true',
    reason: 'from is never below left, and where they are equal nothing is filled',
  },
  {
    file: 'src/image/cut.ts',
    line: 'if (from > left) row.fill(first, 0, (from - left) * channels);',
    from: 'from > left',
    to: 'from >= left',
    reason: 'where they are equal nothing is filled',
  },
  {
    file: 'src/image/cut.ts',
    line: 'if (to < left + width) row.fill(last, (to - left) * channels);',
    from: 'to < left + width',
    to: 'true',
    reason: 'to is never above left + width, and where they are equal nothing is filled',
  },
  {
    file: 'src/image/cut.ts',
    line: 'if (to < left + width) row.fill(last, (to - left) * channels);',
    from: 'to < left + width',
    to: 'to <= left + width',
    reason: 'where they are equal nothing is filled',
  },
  {
    file: 'src/http/problem.ts',
    line: "code = '',",
    from: "''",
    to: '"Stryker was here!"',
    reason: 'stands for no code, and the table has neither',
  },
];
