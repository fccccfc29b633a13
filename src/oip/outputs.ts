/** Outputs of the Open Inference Protocol: which ones a request wants and in what form, and their values. Pure. */
import type { Classification, Parameter, Parameters, Scored, Scores } from '../classify.js';
import { floatBytes, short, shown, textBytes, wrong } from './tensors.js';

export const OUTPUTS = [{ name: 'probabilities' }, { name: 'logits' }] as const;

type Name = (typeof OUTPUTS)[number]['name'];

/** An output as a request names it. */
export interface Named {
  readonly name: string;
  readonly parameters?: Parameters | undefined;
}

export interface Wanted {
  readonly name: Name;
  /** Sent as binary data; otherwise as values. */
  readonly binary: boolean;
  /** How many labels with their values, the largest first, to send in place of all values; undefined: all values. */
  readonly classes: number | undefined;
}

const NAMES = OUTPUTS.map((o) => o.name).join(', ');

/**
 * The outputs that a request names; all of them if it names none. allBinary: the request's parameter
 * binary_data_output. Raises DimmerError invalid-request.
 */
export function wantedOf(outputs: readonly Named[], allBinary: Parameter | undefined): Wanted[] {
  const named: readonly Named[] = outputs.length > 0 ? outputs : OUTPUTS;
  const wanted = named.map(({ name, parameters = {} }): Wanted => {
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

/** The parameter `classification`; 0 is none, as in Triton. */
function classesOf(value: Parameter | undefined): number | undefined {
  if (value === undefined || value === 0) return undefined;
  if (Number.isInteger(value) && (value as number) > 0) return value as number;
  throw wrong(`parameter classification is ${shown(value)}`, 'how many labels: a whole number from 1');
}

/** An output of an answer. Its values are made on demand, in one of two forms. */
export interface OutputTensor {
  readonly name: Name;
  readonly shape: [pictures: number, values: number];
  readonly datatype: 'FP32' | 'BYTES';
  readonly binary: boolean;
  /** Numbers of FP32, texts of BYTES; flat. */
  values(): (number | string)[];
  bytes(): Buffer;
}

export function outputsOf({ scores }: Scored, labels: readonly string[], wanted: readonly Wanted[]): OutputTensor[] {
  return wanted.map((w) => (w.classes === undefined ? allOf(w, scores) : largestOf(w, w.classes, scores, labels)));
}

function allOf({ name, binary }: Wanted, scores: readonly Scores[]): OutputTensor {
  const rows = scores.map((s) => s[name]);
  return {
    name,
    shape: [rows.length, rows[0]?.length ?? 0],
    datatype: 'FP32',
    binary,
    values: () => rows.flatMap((row) => Array.from(row, short)),
    bytes: () => floatBytes(rows),
  };
}

/** The classification extension: each label as `value:index:label`. */
function largestOf(
  { name, binary }: Wanted,
  classes: number,
  scores: readonly Scores[],
  labels: readonly string[],
): OutputTensor {
  const count = Math.min(classes, labels.length);
  const texts = scores.flatMap((s) =>
    s.largest(count).map((index) => `${short(s[name][index] as number)}:${index}:${labels[index]}`),
  );
  return {
    name,
    shape: [scores.length, count],
    datatype: 'BYTES',
    binary,
    values: () => texts,
    bytes: () => textBytes(texts),
  };
}

/** What was done for a request, as parameters of its answer. */
export function facts({ budget, results }: Classification) {
  const total = (of: (r: (typeof results)[number]) => number) => results.reduce((sum, r) => sum + of(r), 0);
  return {
    instance: results.map((r) => r.model_instance.id).join(','),
    reason: results[0]?.reason ?? '',
    cost_flops: total((r) => r.cost.flops),
    cost_share: Number(total((r) => r.cost.share).toFixed(6)),
    budget_met: budget.met,
    total_ms: Math.max(...results.map((r) => r.timing.totalMs)),
  };
}
