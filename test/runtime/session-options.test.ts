import t from 'tap';
import { optimisingOptions, sessionOptions } from '../../src/runtime/session-options.js';

const OPTIONS = { provider: 'cpu', onnxThreads: 3 } as const;

t.test('threads are always explicit and do not spin', (t) => {
  t.match(sessionOptions(OPTIONS), {
    executionProviders: ['cpu'],
    intraOpNumThreads: 3,
    interOpNumThreads: 1,
    enableCpuMemArena: false,
    graphOptimizationLevel: 'all',
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  t.end();
});

t.test('a graph that was optimised before is taken as it is, and packed only if it has to be', (t) => {
  const optionsOf = (pack: boolean) => sessionOptions(OPTIONS, { path: 'x.onnx', pack });
  t.match(optionsOf(false), { graphOptimizationLevel: 'disabled', extra: { session: { disable_prepacking: '1' } } });
  t.equal(optionsOf(true).graphOptimizationLevel, 'disabled');
  for (const options of [optionsOf(true), sessionOptions(OPTIONS)])
    t.notHas(options.extra, { session: { disable_prepacking: '1' } });
  t.end();
});

t.test('int8 is computed without saturation where the processor has no VNNI, also as it is optimised', (t) => {
  for (const { extra } of [sessionOptions(OPTIONS), optimisingOptions('x.onnx')])
    t.match(extra, { session: { x64quantprecision: '1' } });
  t.end();
});

t.test('CUDA stands alone: with cpu behind it, onnxruntime would fall back silently', (t) => {
  t.same(sessionOptions({ ...OPTIONS, provider: 'cuda' }).executionProviders, ['cuda']);
  t.end();
});
