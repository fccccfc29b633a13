/** ModelInferRequest -> pictures and wanted outputs; scores -> ModelInferResponse. Pure. Input is hostile. */
import type { Parameter, Parameters, Scored } from '../classify.js';
import { facts, type OutputTensor, outputsOf, type Wanted, wantedOf } from '../oip/outputs.js';
import { MOST_ID_CHARS } from '../oip/schemas.js';
import { assertNotShared, type InputLimits, onlyInput, picturesOf, shown, wrong } from '../oip/tensors.js';

/** InferParameter, as proto-loader decodes it. */
interface InferParameter {
  /** The field of the oneof that is set. */
  readonly parameter_choice?: Exclude<keyof InferParameter, 'parameter_choice'>;
  readonly bool_param?: boolean;
  readonly int64_param?: number;
  readonly string_param?: string;
  readonly double_param?: number;
  readonly uint64_param?: number;
}

type ParameterMap = Readonly<Record<string, InferParameter>>;

/** InferTensorContents: one list for each kind of value. */
type Contents = Readonly<Record<string, readonly unknown[]>>;

interface InputTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly parameters: ParameterMap;
  readonly contents: Contents | null;
}

export interface ModelInferRequest {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly parameters: ParameterMap;
  inputs: readonly InputTensor[];
  readonly outputs: readonly { readonly name: string; readonly parameters: ParameterMap }[];
  raw_input_contents: readonly Buffer[];
}

/** The list of contents that holds the values of a data type; other data types are refused by their input. */
const LISTS: Readonly<Record<string, string>> = { UINT8: 'uint_contents', BYTES: 'bytes_contents' };

export interface Infer {
  readonly parameters: Parameters;
  /** Encoded. */
  readonly pictures: Uint8Array[];
  readonly wanted: readonly Wanted[];
  /** Whether the pictures are copies; otherwise they are views of the message, which has to stay. */
  readonly copied: boolean;
}

/**
 * Reads a request, and removes its tensors from it: the library keeps the request until the answer, and pictures need
 * their memory only until they are decoded. Raises DimmerError invalid-request, too-many-images or image-too-large.
 */
export function readMessage(request: ModelInferRequest, limits: InputLimits): Infer {
  const { inputs, raw_input_contents: raw } = request;
  request.inputs = [];
  request.raw_input_contents = [];
  if (request.id.length > MOST_ID_CHARS)
    throw wrong(`the id of the request has ${request.id.length} characters`, `at most ${MOST_ID_CHARS}`);
  const parameters = parametersOf(request.parameters);
  const input = onlyInput(inputs);
  assertNotShared(input.name, input.parameters);
  if (raw.length > 1) throw wrong(`raw_input_contents has ${raw.length} elements`, 'one, because there is one input');
  const outputs = request.outputs.map((o) => ({ name: o.name, parameters: parametersOf(o.parameters) }));
  // Without parameters outputs are raw, which all clients read; REST has JSON there.
  const wanted = wantedOf(outputs, parameters.binary_data_output ?? true);
  if (new Set(wanted.map((w) => w.binary)).size > 1)
    throw wrong('some outputs are wanted raw and others not', 'the same binary_data for all outputs of a message');
  const { name, shape, datatype } = input;
  const [binary] = raw;
  const data = valuesOf(input, binary !== undefined);
  const pictures = picturesOf({ name, shape, datatype, data, binary }, limits);
  return { parameters, pictures, wanted, copied: datatype === 'UINT8' };
}

/** The values in the contents of an input; undefined if its tensor is raw or its data type is not read. */
function valuesOf({ name, datatype, contents }: InputTensor, isRaw: boolean): readonly unknown[] | undefined {
  const list = LISTS[datatype];
  if (list === undefined) return undefined;
  const filled = Object.keys(contents ?? {}).filter((key) => (contents?.[key]?.length ?? 0) > 0);
  if (isRaw && filled.length > 0)
    throw wrong(`input ${shown(name)} has raw_input_contents and contents`, 'one of them');
  if (isRaw) return undefined;
  const other = filled.find((key) => key !== list);
  if (other !== undefined) throw wrong(`input ${shown(name)} has values in ${other}`, `${list} for ${datatype}`);
  if (filled.length === 0) throw wrong(`input ${shown(name)} has no data`, `raw_input_contents, or ${list}`);
  return contents?.[list];
}

/** A parameter without a value becomes an empty text, which whoever reads it refuses. */
function parametersOf(map: ParameterMap): Record<string, Parameter> {
  return Object.fromEntries(
    Object.entries(map).map(([name, value]) => {
      const { parameter_choice: choice } = value;
      return [name, (choice && value[choice]) ?? ''];
    }),
  );
}

/** The answer. id: that of the request. */
export function responseOf(scored: Scored, labels: readonly string[], wanted: readonly Wanted[], id: string): object {
  const { model, modelVersion } = scored.answer;
  const { instance, reason, cost_flops, cost_share, budget_met, total_ms } = facts(scored.answer);
  const tensors = outputsOf(scored, labels, wanted);
  const raw = tensors.every((tensor) => tensor.binary);
  return {
    model_name: model,
    model_version: modelVersion,
    id,
    parameters: {
      instance: { string_param: instance },
      reason: { string_param: reason },
      cost_flops: { int64_param: cost_flops },
      cost_share: { double_param: cost_share },
      budget_met: { bool_param: budget_met },
      total_ms: { double_param: total_ms },
    },
    outputs: tensors.map((tensor) => {
      const { name, datatype, shape } = tensor;
      return { name, datatype, shape, ...(raw ? {} : { contents: contentsOf(tensor) }) };
    }),
    raw_output_contents: raw ? tensors.map((tensor) => tensor.bytes()) : [],
  };
}

const contentsOf = ({ datatype, values }: OutputTensor) =>
  datatype === 'FP32' ? { fp32_contents: values() } : { bytes_contents: values().map((v) => Buffer.from(String(v))) };
