/**
 * Folds a batch norm into the convolution before it: w' = w γ/√(σ²+ε), b' = β + (b - μ) γ/√(σ²+ε). Folding saves a pass
 * over the feature map. But γ, β, μ and σ differ between instances after their downsampling point, so that folded
 * weights are no longer shared: each instance needs its own copy.
 */
import { createHash } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { embed, floatsOf, type Model } from './graph.js';
import { type NodeProto, type TensorProto, TensorProtoSchema } from './onnx_pb.js';

/** Default of a batch norm's epsilon in the ONNX specification. */
const EPSILON = 1e-5;
/** ONNX's number of the data type. */
const FLOAT32 = 1;

/** A batch norm that can be folded, and the convolution before it. */
export interface Fold {
  readonly model: Model;
  readonly convolution: NodeProto;
  readonly norm: NodeProto;
  readonly weight: TensorProto;
  readonly bias: TensorProto | undefined;
  /** γ, β, μ and σ²: [channels] each. */
  readonly parameters: readonly TensorProto[];
}

/**
 * The batch norms of a model that can be folded: the input comes from a convolution whose output has no other use, and
 * all parameters are embedded float32 constants.
 */
export function foldsOf(model: Model): Fold[] {
  const { node, initializer, input, output } = model.graph;
  if (hasInnerGraphs(model)) return [];
  // An initializer that is also a graph input is only a default value, not a constant.
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
    // Parameters of another shape break ONNX's rules. Such a graph is not folded, so that onnxruntime still refuses it.
    if (!known.slice(1).every((t) => t?.dims.length === 1 && t.dims[0] === weight.dims[0])) return [];
    return [{ model, convolution, norm, weight, bias, parameters }];
  });
}

/** Folds of several instances that result in the same weights; these are stored once. */
interface Alike {
  readonly bytes: number;
  readonly folds: Fold[];
}

/**
 * Chooses folds whose weights together take at most mostBytes. Folds with the fewest bytes per instance come first:
 * small weights belong to large feature maps, where the saved pass costs most.
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

/**
 * Folds a batch norm, changing the model in place. Tensors that are no longer used stay in the model (see dropUnused).
 */
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

/**
 * Whether a graph contains subgraphs (of If, Loop): these can use its tensors without naming them as inputs of a node.
 */
const hasInnerGraphs = ({ graph }: Model): boolean =>
  graph.node.some((n) => n.attribute.some((a) => a.g !== undefined || a.graphs.length > 0));

/** Removes tensors that no node uses, changing the model in place. */
export function dropUnused(model: Model): void {
  if (hasInnerGraphs(model)) return;
  const { graph } = model;
  // Inputs keep their default values: without a default the caller would have to pass the input.
  const ends = [...graph.input, ...graph.output].map(({ name }) => name);
  const used = new Set([...graph.node.flatMap((n) => n.input), ...ends]);
  graph.initializer = graph.initializer.filter((t) => used.has(t.name));
}
