/** Which outputs a request wants, and in what form; and the answer that has them. Pure. */
import type { z } from 'zod';
import type { Parameter, Scored, Scores } from '../../classify.js';
import type { inferResponse, requestOutput } from './schemas.js';
import { floatBytes, short, shown, textBytes, wrong } from './tensors.js';

export const OUTPUTS = [{ name: 'probabilities' }, { name: 'logits' }] as const;

type Name = (typeof OUTPUTS)[number]['name'];

export interface Wanted {
  readonly name: Name;
  /** Behind the JSON, and not in it. */
  readonly binary: boolean;
  /** So many labels with their values, the largest first, in place of all values. */
  readonly classes: number | undefined;
}

const NAMES = OUTPUTS.map((o) => o.name).join(', ');

/** All of them, if none is named. allBinary: the parameter binary_data_output. Raises DimmerError invalid-request. */
export function wantedOf(
  outputs: readonly z.infer<typeof requestOutput>[],
  allBinary: Parameter | undefined,
): Wanted[] {
  const named = outputs.length > 0 ? outputs : OUTPUTS;
  const wanted = named.map(({ name, parameters = {} }: z.infer<typeof requestOutput>): Wanted => {
    const known = OUTPUTS.find((o) => o.name === name);
    if (!known) throw wrong(`there is no output ${shown(name)}`, `one of ${NAMES}`);
    if ('shared_memory_region' in parameters)
      throw wrong(`output ${name} is to go into shared memory`, 'outputs in the answer');
    const binary = flag(
      parameters.binary_data ?? allBinary,
      parameters.binary_data === undefined ? 'binary_data_output' : 'binary_data',
    );
    return { name: known.name, binary, classes: classesOf(parameters.classification) };
  });
  if (new Set(wanted.map((w) => w.name)).size < wanted.length)
    throw wrong('an output is wanted twice', 'each output at most once');
  return wanted;
}

function flag(value: Parameter | undefined, name: string): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw wrong(`parameter ${name} is ${shown(value)}`, 'true or false');
}

/** 0 is none, as in Triton. */
function classesOf(value: Parameter | undefined): number | undefined {
  if (value === undefined || value === 0) return undefined;
  if (Number.isInteger(value) && (value as number) > 0) return value as number;
  throw wrong(`parameter classification is ${shown(value)}`, 'how many labels: a whole number from 1');
}

type Output = z.infer<typeof inferResponse>['outputs'][number];

/** The body of an answer. jsonLength: where binary data begins; undefined if there is none. */
export function answerOf(
  { answer, scores }: Scored,
  labels: readonly string[],
  wanted: readonly Wanted[],
  id: string | undefined,
): { readonly body: Buffer; readonly jsonLength: number | undefined } {
  const { model, modelVersion, budget, results } = answer;
  const tail: Buffer[] = [];
  const outputs = wanted.map((w): Output => {
    const tensor = w.classes === undefined ? allOf(w, scores) : largestOf(w, w.classes, scores, labels);
    if (!w.binary) return { ...tensor.head, data: tensor.data() };
    const bytes = tensor.bytes();
    tail.push(bytes);
    return { ...tensor.head, parameters: { binary_data_size: bytes.length } };
  });
  const total = (of: (r: (typeof results)[number]) => number) => results.reduce((sum, r) => sum + of(r), 0);
  const response: z.infer<typeof inferResponse> = {
    model_name: model,
    model_version: modelVersion,
    ...(id === undefined ? {} : { id }),
    parameters: {
      instance: results.map((r) => r.model_instance.id).join(','),
      reason: results[0]?.reason ?? '',
      cost_flops: total((r) => r.cost.flops),
      cost_share: Number(total((r) => r.cost.share).toFixed(6)),
      budget_met: budget.met,
      total_ms: Math.max(...results.map((r) => r.timing.totalMs)),
    },
    outputs,
  };
  const json = Buffer.from(JSON.stringify(response));
  return tail.length === 0
    ? { body: json, jsonLength: undefined }
    : { body: Buffer.concat([json, ...tail]), jsonLength: json.length };
}

interface Tensor {
  readonly head: Pick<Output, 'name' | 'shape' | 'datatype'>;
  data(): (number | string)[];
  bytes(): Buffer;
}

function allOf({ name }: Wanted, scores: readonly Scores[]): Tensor {
  const rows = scores.map((s) => s[name]);
  return {
    head: { name, shape: [rows.length, rows[0]?.length ?? 0], datatype: 'FP32' },
    data: () => rows.flatMap((row) => Array.from(row, short)),
    bytes: () => floatBytes(rows),
  };
}

/** The classification extension: `value:index:label`. */
function largestOf({ name }: Wanted, classes: number, scores: readonly Scores[], labels: readonly string[]): Tensor {
  const count = Math.min(classes, labels.length);
  const texts = scores.flatMap((s) =>
    s.largest(count).map((index) => `${short(s[name][index] as number)}:${index}:${labels[index]}`),
  );
  return {
    head: { name, shape: [scores.length, count], datatype: 'BYTES' },
    data: () => texts,
    bytes: () => textBytes(texts),
  };
}
