/** Folding of batch norms: which ones, in which order, and that the outputs do not change. */
import { create } from '@bufbuild/protobuf';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import t, { type Test } from 'tap';
import { loadFamily } from '../../src/family/load.js';
import { apply, dropUnused, foldsOf, worthwhile } from '../../src/weights/fold.js';
import { embed, floatsOf, type Model, readModel, readWhole, writeModel } from '../../src/weights/graph.js';
import {
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from '../../src/weights/onnx_pb.js';
import { FAMILIES } from '../support/app.js';

const TINY = await loadFamily(`${FAMILIES}/tiny`);

interface Layer {
  readonly weight: readonly number[];
  readonly bias?: readonly number[];
  /** Parameters of the batch norm for each channel: γ, β, μ, σ². */
  readonly norm: readonly [number[], number[], number[], number[]];
  readonly epsilon?: number;
}

const tensor = (name: string, values: readonly number[], dims: readonly number[] = [values.length]) => {
  const made = create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType: 1 });
  embed(made, new Uint8Array(Float32Array.from(values).buffer));
  return made;
};

/** A graph of a convolution followed by a batch norm. */
function modelOf({ weight, bias, norm, epsilon }: Layer): Model {
  const names = ['gamma', 'beta', 'mean', 'variance'];
  const attribute =
    epsilon === undefined ? [] : [create(AttributeProtoSchema, { name: 'epsilon', f: Math.fround(epsilon) })];
  const graph = create(GraphProtoSchema, {
    node: [
      create(NodeProtoSchema, { opType: 'Conv', input: ['x', 'w', ...(bias ? ['b'] : [])], output: ['conv'] }),
      create(NodeProtoSchema, { opType: 'BatchNormalization', input: ['conv', ...names], output: ['y'], attribute }),
    ],
    initializer: [
      tensor('w', weight, [norm[0].length, weight.length / norm[0].length]),
      ...(bias ? [tensor('b', bias)] : []),
      ...norm.map((values, n) => tensor(names[n] as string, values)),
    ],
    output: [create(ValueInfoProtoSchema, { name: 'y' })],
  });
  return create(ModelProtoSchema, { graph }) as Model;
}

const LAYER: Layer = {
  weight: [1, 2, 3, 4],
  norm: [
    [2, 3],
    [10, 20],
    [1, -1],
    [4 - 1e-5, 9 - 1e-5],
  ],
};

function folded(t: Test, layer: Layer) {
  const model = modelOf(layer);
  const folds = foldsOf(model);
  t.equal(folds.length, 1);
  for (const fold of folds) apply(fold);
  dropUnused(model);
  t.same(
    model.graph.node.map((n) => [n.opType, n.output]),
    [['Conv', ['y']]],
  );
  t.same(
    model.graph.initializer.map((i) => i.name),
    model.graph.node[0]?.input.slice(1),
    'tensors that nothing uses are gone',
  );
  return model.graph.initializer.map((i) => [...floatsOf(i)]);
}

t.test('weights are scaled by γ/√(σ²+ε), and the bias is β + (b - μ) of that', (t) => {
  t.same(folded(t, LAYER), [
    [1, 2, 3, 4],
    [9, 21],
  ]);
  t.same(folded(t, { ...LAYER, bias: [5, 6] }), [
    [1, 2, 3, 4],
    [14, 27],
  ]);
  t.same(
    folded(t, {
      ...LAYER,
      norm: [
        [2, 3],
        [10, 20],
        [1, -1],
        [3.75, 8.75],
      ],
      epsilon: 0.25,
    }),
    [
      [1, 2, 3, 4],
      [9, 21],
    ],
  );
  t.end();
});

t.test('what another node uses too, what is an output, and what is no constant is not folded', (t) => {
  const cases: [string, (model: Model) => void][] = [
    ['used twice', ({ graph }) => graph.node.push(create(NodeProtoSchema, { opType: 'Relu', input: ['conv'] }))],
    ['an output', ({ graph }) => graph.output.push(create(ValueInfoProtoSchema, { name: 'conv' }))],
    ['no constant', ({ graph }) => graph.initializer.shift()],
    ['not float32', ({ graph }) => Object.assign(graph.initializer[0] ?? {}, { dataType: 10 })],
    ['an input too', ({ graph }) => graph.input.push(create(ValueInfoProtoSchema, { name: 'w' }))],
    ['other channels', ({ graph }) => Object.assign(graph.initializer[0] ?? {}, { dims: [4n, 1n] })],
    ['several dimensions', ({ graph }) => Object.assign(graph.initializer[1] ?? {}, { dims: [2n, 1n] })],
    ['training', ({ graph }) => graph.node[1]?.output.push('mean')],
    ['another node before', ({ graph }) => Object.assign(graph.node[0] ?? {}, { opType: 'Gemm' })],
    [
      'an inner graph',
      ({ graph }) => {
        const attribute = [create(AttributeProtoSchema, { name: 'then', g: create(GraphProtoSchema) })];
        graph.node.push(create(NodeProtoSchema, { opType: 'If', attribute }));
      },
    ],
  ];
  for (const [name, change] of cases) {
    const model = modelOf(LAYER);
    change(model);
    t.same(foldsOf(model), [], name);
  }
  const asked = modelOf(LAYER);
  asked.graph.input.push(create(ValueInfoProtoSchema, { name: 'w' }));
  asked.graph.node.shift();
  dropUnused(asked);
  t.match(
    asked.graph.initializer.map((i) => i.name),
    ['w', 'gamma'],
    'an input keeps its default',
  );
  const inner = modelOf(LAYER);
  cases.at(-1)?.[1](inner);
  const before = inner.graph.initializer.length;
  inner.graph.node.shift();
  dropUnused(inner);
  t.equal(inner.graph.initializer.length, before, 'an inner graph may use any tensor');
  t.end();
});

t.test('folds that serve most instances for each byte come first, within the allowed bytes', (t) => {
  const small = modelOf({ ...LAYER, weight: [1, 2] });
  const shared = [modelOf(LAYER), modelOf(LAYER), modelOf(LAYER)];
  const own = modelOf({
    ...LAYER,
    norm: [
      [2, 3],
      [10, 20],
      [1, -1],
      [1, 1],
    ],
  });
  const all = [own, ...shared, small].flatMap(foldsOf);
  const chosen = (bytes: number) => worthwhile(all, bytes).map((f) => f.model);
  t.same(chosen(0), []);
  t.same(chosen(16), shared, '16 bytes for three instances come before 8 for one');
  t.same(chosen(24), [...shared, small]);
  t.same(chosen(39), [...shared, small], 'what does not fit is left out');
  t.same(chosen(40), [...shared, small, own]);
  t.end();
});

t.test('a real instance with all folded answers as before', async (t) => {
  const [height, width] = [TINY.height, TINY.width];
  const image = new Tensor(
    'uint8',
    Uint8Array.from({ length: 2 * height * width * 3 }, (_, n) => (n * 37) % 256),
    [2, height, width, 3],
  );
  for (const { graph, id } of TINY.instances) {
    const model = readWhole(graph, new Map());
    const folds = foldsOf(model);
    t.ok(folds.length > 0, id);
    for (const fold of folds) apply(fold);
    dropUnused(model);
    const [before, after] = await Promise.all(
      [graph, writeModel(model)].map(async (from) => {
        const session = await InferenceSession.create(from as string);
        const { logits } = await session.run({ image });
        await session.release();
        return logits?.data as Float32Array;
      }),
    );
    const largest = Math.max(...(before as Float32Array).map((v, n) => Math.abs(v - (after?.[n] as number))));
    t.ok(largest < 1e-4, `${id}: ${largest}`);
    t.same(readModel(writeModel(model)).graph.node.length, model.graph.node.length);
  }
});
