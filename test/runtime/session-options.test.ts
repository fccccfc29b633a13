import t from 'tap';
import { sessionOptions } from '../../src/runtime/session-options.js';

const OPTIONS = { provider: 'cpu', onnxThreads: 3, arena: true } as const;

t.test('threads are always explicit and do not spin', (t) => {
  t.match(sessionOptions(OPTIONS), {
    executionProviders: ['cpu'],
    intraOpNumThreads: 3,
    interOpNumThreads: 1,
    enableCpuMemArena: true,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  t.equal(sessionOptions({ ...OPTIONS, arena: false }).enableCpuMemArena, false);
  t.end();
});

t.test('int8 is computed without saturation where the processor has no VNNI', (t) => {
  t.match(sessionOptions(OPTIONS).extra, { session: { x64quantprecision: '1' } });
  t.end();
});

t.test('CUDA stands alone: with cpu behind it, onnxruntime would fall back silently', (t) => {
  t.same(sessionOptions({ ...OPTIONS, provider: 'cuda' }).executionProviders, ['cuda']);
  t.end();
});
