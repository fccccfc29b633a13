/** The body of an inference request -> its pictures, and the outputs that it wants. Pure. Input is hostile. */
import { isUtf8 } from 'node:buffer';
import type { z } from 'zod';
import type { Parameters } from '../../classify.js';
import { DimmerError } from '../../errors.js';
import { OUTPUTS, type Wanted, wantedOf } from '../../oip/outputs.js';
import { inferRequest, type requestInput } from '../../oip/schemas.js';
import { assertNotShared, type InputLimits, onlyInput, picturesOf, shown, wrong } from '../../oip/tensors.js';

export interface Limits extends InputLimits {
  readonly MAX_JSON_BYTES: number;
}

export interface Infer {
  readonly id: string | undefined;
  readonly parameters: Parameters;
  /** Encoded. */
  readonly pictures: Uint8Array[];
  readonly wanted: readonly Wanted[];
}

/**
 * Inputs, outputs and parameters of a request, together. A request has some ten. Too low: refuses clients that send many
 * parameters of their own. Too high: memory and time, as checking takes far more for each that is wrong than its bytes.
 */
const MOST_NAMED = 1000;

/** Values of the header that says where JSON ends. */
export const JSON_LENGTH = /^\d{1,15}$/;

/**
 * The length of the JSON, from the header Inference-Header-Content-Length; undefined if all of the body is JSON. Raises
 * DimmerError invalid-request.
 */
export function jsonLengthOf(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (typeof header === 'string' && JSON_LENGTH.test(header)) return Number(header);
  throw wrong(
    `Inference-Header-Content-Length is ${shown(header)}`,
    'the length of the JSON in bytes, before compression; 0 for one picture file alone',
  );
}

/** Raises DimmerError image-too-large. Used before the body is read as well, if the header says the length. */
export function assertJsonLength(bytes: number, { MAX_JSON_BYTES: most }: Pick<Limits, 'MAX_JSON_BYTES'>): void {
  if (bytes <= most) return;
  throw new DimmerError('image-too-large', {
    detail: `the JSON of the request has ${bytes} bytes`,
    expected: `at most ${most} (MAX_JSON_BYTES)`,
    action: 'send pictures as binary data (Inference-Header-Content-Length), which does not count',
  });
}

/** Raises DimmerError invalid-request, too-many-images or image-too-large. */
export function readRequest(body: Buffer, jsonLength: number | undefined, limits: Limits): Infer {
  // A raw binary request: the body is the one input, and all outputs come as binary data.
  if (jsonLength === 0) {
    const wanted = OUTPUTS.map(({ name }) => ({ name, binary: true, classes: undefined }));
    return { id: undefined, parameters: {}, pictures: [body], wanted };
  }
  const length = jsonLength ?? body.length;
  if (length > body.length)
    throw wrong(
      `Inference-Header-Content-Length is ${length}, and the body has ${body.length} bytes`,
      'the length of the JSON at the beginning of the body',
    );
  assertJsonLength(length, limits);
  const { id, parameters = {}, inputs, outputs } = parse(body.subarray(0, length));
  const input = onlyInput(inputs);
  const binary = binaryOf(input, body.subarray(length), jsonLength !== undefined);
  const { name, shape, datatype, data } = input;
  const wanted = wantedOf(outputs ?? [], parameters.binary_data_output);
  return { id, parameters, pictures: picturesOf({ name, shape, datatype, data, binary }, limits), wanted };
}

function parse(json: Buffer): z.infer<typeof inferRequest> {
  if (!isUtf8(json)) throw wrong('the JSON is not in UTF-8', 'JSON in UTF-8 (RFC 8259)', AS_BINARY);
  let value: unknown;
  try {
    value = JSON.parse(json.toString());
  } catch {
    throw wrong('the body is no JSON', 'a JSON object with inputs (RFC 8259)', AS_BINARY);
  }
  assertFewNamed(value);
  const parsed = inferRequest.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0] as z.core.$ZodIssue;
  const where = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
  throw wrong(`the request${where.slice(0, 100)}: ${message}`, 'an inference request of the Open Inference Protocol');
}

/** Before the schema is asked, which makes an error of each thing that is wrong. Raises DimmerError invalid-request. */
function assertFewNamed(value: unknown): void {
  const { inputs, outputs, parameters } = membersOf(value);
  const tensors = [inputs, outputs].flatMap((list) => (Array.isArray(list) ? list : []));
  const lists = [parameters, ...tensors.slice(0, MOST_NAMED).map((tensor) => membersOf(tensor).parameters)];
  const named = lists.reduce((sum: number, list) => sum + Object.keys(membersOf(list)).length, tensors.length);
  if (named > MOST_NAMED)
    throw wrong(
      `the request has ${named} inputs, outputs and parameters`,
      `one input, each output once and few parameters, at most ${MOST_NAMED} together`,
    );
}

const membersOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

const AS_BINARY =
  'correct the JSON; if binary data follows it, Inference-Header-Content-Length has to say how long the JSON is';

/**
 * The bytes of the input; undefined if the JSON has its data. rest: the bytes behind the JSON. headed: whether the
 * request has the header Inference-Header-Content-Length.
 */
function binaryOf(input: z.infer<typeof requestInput>, rest: Buffer, headed: boolean): Buffer | undefined {
  const { name, data, parameters = {} } = input;
  assertNotShared(name, parameters);
  const size = parameters.binary_data_size;
  if (size === undefined) {
    if (rest.length > 0)
      throw wrong(`${rest.length} bytes follow the JSON, and no input has them`, 'binary_data_size of the input');
    if (data === undefined) throw wrong(`input ${shown(name)} has no data`, 'data, or a parameter binary_data_size');
    return undefined;
  }
  if (!headed)
    throw wrong(
      `input ${shown(name)} has binary_data_size, and the request has no Inference-Header-Content-Length`,
      'that header, with the length of the JSON',
    );
  if (data !== undefined) throw wrong(`input ${shown(name)} has data and binary_data_size`, 'one of them');
  if (size !== rest.length)
    throw wrong(
      `input ${shown(name)} has binary_data_size ${shown(size)}, and ${rest.length} bytes follow the JSON`,
      'the same number: of all bytes that follow the JSON',
    );
  return rest;
}
