/**
 * Batch norm behind a convolution, put into the convolution's weights: w' = w γ/√(σ²+ε), b' = β - μ γ/√(σ²+ε). It saves a pass
 * over the feature map; but instances differ in γ, β, μ and σ behind their point of downsampling, so weights that they
 * shared become as many copies.
 */
import { createHash } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { embed, floatsOf, type Model } from './graph.js';
import { type NodeProto, type TensorProto, TensorProtoSchema } from './onnx_pb.js';

/** What ONNX says where a graph does not. */
const EPSILON = 1e-5;
const FLOAT32 = 1;

/** A batch norm that could be folded. */
export interface Fold {
  readonly model: Model;
  readonly convolution: NodeProto;
  readonly norm: NodeProto;
  readonly weight: TensorProto;
  readonly bias: TensorProto | undefined;
  /** γ, β, μ and σ²: [channels] each. */
  readonly parameters: readonly TensorProto[];
}

/** All of a model whose tensors are in it: of a convolution whose result nothing else uses. */
export function foldsOf(model: Model): Fold[] {
  const { node, initializer, input, output } = model.graph;
  if (hasInnerGraphs(model)) return [];
  // A tensor that is an input as well is only a default.
  const inputs = new Set(input.map((i) => i.name));
  const tensors = new Map(initializer.filter((t) => !inputs.has(t.name)).map((t) => [t.name, t]));
  const makers = new Map(node.flatMap((n) => n.output.map((name) => [name, n])));
  const uses = new Map<string, number>();
  for (const name of [...node.flatMap((n) => n.input), ...output.map((o) => o.name ?? '')])
    uses.set(name, (uses.get(name) ?? 0) + 1);
  return node.flatMap((norm): Fold[] => {
    const [before = '', ...names] = norm.input;
    const convolution = makers.get(before);
    if (norm.opType !== 'BatchNormalization' || norm.output.length > 1) return [];
    if (convolution?.opType !== 'Conv' || uses.get(before) !== 1) return [];
    const weight = tensors.get(convolution.input[1] as string);
    const parameters = names.map((name) => tensors.get(name)).filter((t) => t !== undefined);
    const biasName = convolution.input[2];
    const bias = biasName ? tensors.get(biasName) : undefined;
    const known = [weight, ...parameters, ...(biasName ? [bias] : [])];
    if (!weight || parameters.length < 4 || !known.every((t) => t?.rawData && t.dataType === FLOAT32)) return [];
    // Else not what ONNX says of them: onnxruntime refuses the graph, which it could not once they are folded.
    if (!known.slice(1).every((t) => t?.dims.length === 1 && t.dims[0] === weight.dims[0])) return [];
    return [{ model, convolution, norm, weight, bias, parameters }];
  });
}

/** Folds that give the same weights, whatever the instance. */
interface Alike {
  readonly bytes: number;
  readonly folds: Fold[];
}

/**
 * The folds of a family that take at most so many bytes for weights of their own, those first that serve most instances for
 * a byte. Small weights are those of large feature maps, where a pass costs most.
 */
export function worthwhile(all: readonly Fold[], mostBytes: number): Fold[] {
  const alike = new Map<string, Alike>();
  for (const fold of all) {
    const digest = digestOf(fold);
    const known = alike.get(digest);
    if (known) known.folds.push(fold);
    else alike.set(digest, { bytes: (fold.weight.rawData as Uint8Array).length, folds: [fold] });
  }
  let left = mostBytes;
  const cost = ({ bytes, folds }: Alike) => bytes / folds.length;
  return [...alike.values()]
    .sort((a, b) => cost(a) - cost(b))
    .flatMap(({ bytes, folds }) => {
      if (bytes > left) return [];
      left -= bytes;
      return folds;
    });
}

function digestOf({ weight, bias, parameters }: Fold): string {
  const hash = createHash('sha256');
  for (const { rawData } of [weight, ...parameters, ...(bias ? [bias] : [])]) hash.update(rawData as Uint8Array);
  return hash.digest('hex');
}

/** Changes the fold's model; tensors that nothing uses any more stay in it. */
export function apply({ model, convolution, norm, weight, bias, parameters }: Fold): void {
  const { graph } = model;
  const epsilon = norm.attribute.find((a) => a.name === 'epsilon')?.f ?? EPSILON;
  const [gamma, beta, mean, variance] = parameters.map(floatsOf) as [Floats, Floats, Floats, Floats];
  const weights = floatsOf(weight);
  const before = bias && floatsOf(bias);
  const each = weights.length / gamma.length;
  const biases = beta.map((b, channel) => {
    const scale = (gamma[channel] as number) / Math.sqrt((variance[channel] as number) + epsilon);
    for (let n = channel * each; n < (channel + 1) * each; n++) weights[n] = (weights[n] as number) * scale;
    return b + ((before?.[channel] ?? 0) - (mean[channel] as number)) * scale;
  });
  const [result] = norm.output as [string];
  const add = (name: string, dims: bigint[], values: Floats) => {
    const tensor = create(TensorProtoSchema, { name, dims, dataType: FLOAT32 });
    embed(tensor, new Uint8Array(values.buffer));
    graph.initializer.push(tensor);
    return name;
  };
  convolution.input = [
    convolution.input[0] as string,
    add(`${result}.folded.weight`, weight.dims, weights),
    add(`${result}.folded.bias`, [BigInt(biases.length)], biases),
  ];
  convolution.output = [result];
  graph.node.splice(graph.node.indexOf(norm), 1);
}

type Floats = Float32Array<ArrayBuffer>;

/** Inner graphs, of If and Loop, may use tensors of the outer one without naming them as inputs. */
const hasInnerGraphs = ({ graph }: Model): boolean =>
  graph.node.some((n) => n.attribute.some((a) => a.g !== undefined || a.graphs.length > 0));

/** Takes the tensors out that no node uses. */
export function dropUnused(model: Model): void {
  if (hasInnerGraphs(model)) return;
  const { graph } = model;
  const ends = [...graph.input, ...graph.output].map(({ name }) => name); // an input without its default would be asked for
  const used = new Set([...graph.node.flatMap((n) => n.input), ...ends]);
  graph.initializer = graph.initializer.filter((t) => used.has(t.name));
}
