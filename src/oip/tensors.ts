/**
 * Tensors of the Open Inference Protocol: pictures from the input of a request, bytes for the outputs of an answer.
 * Pure.
 */
import { DimmerError } from '../errors.js';
import { fileOfPixels } from '../image/pixels.js';
import { pictureTooLarge, tooManyImages } from '../image/refusals.js';

export interface InputLimits {
  readonly MAX_IMAGES: number;
  readonly MAX_IMAGE_BYTES: number;
}

/** The input of a request. */
export interface Input {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  /** The values: numbers, base64 texts (JSON) or buffers (protobuf); undefined if the tensor comes as `binary`. */
  readonly data: unknown;
  /** The whole tensor as bytes; undefined if it comes as `data`. */
  readonly binary: Uint8Array | undefined;
}

export const INPUTS = [
  { name: 'image', datatype: 'UINT8', shape: [-1, -1, -1, 3], words: '[pictures, height, width, 3], RGB' },
  { name: 'image_bytes', datatype: 'BYTES', shape: [-1], words: '[pictures], each the bytes of a picture file' },
] as const;

const EXPECTED = `one input: ${INPUTS.map((i) => `${i.name} ${i.datatype} ${i.words}`).join('; or ')}`;

/** Dimensions of a wrong shape that an error shows: twice as many as a right shape has. */
const SHOWN_DIMENSIONS = 8;

/** The error for a request that does not follow the protocol. */
export function wrong(
  detail: string,
  expected = EXPECTED,
  action = 'correct the request; docs/protocols.md describes it',
) {
  return new DimmerError('invalid-request', { detail, expected, action });
}

/** The one input of a request. Raises DimmerError invalid-request if there is none or are several. */
export function onlyInput<T>(inputs: readonly T[]): T {
  const [input, another] = inputs;
  if (input === undefined || another !== undefined) throw wrong(`the request has ${inputs.length} inputs`);
  return input;
}

/** Raises DimmerError invalid-request if the data of an input lies in shared memory, by its parameters. */
export function assertNotShared(name: string, parameters: object): void {
  if ('shared_memory_region' in parameters)
    throw wrong(
      `input ${shown(name)} is in shared memory`,
      'its data in the request: the client may be on another host',
    );
}

/**
 * The encoded pictures of an input, as /classify gets them. Those of BYTES as binary data are views of the input.
 * Raises DimmerError invalid-request, too-many-images or image-too-large.
 */
export function picturesOf(input: Input, limits: InputLimits): Uint8Array[] {
  const { name, datatype, shape } = input;
  const known = INPUTS.find((i) => i.name === name);
  if (!known) throw wrong(`there is no input ${shown(name)}`);
  if (datatype !== known.datatype) throw wrong(`input ${name} has the datatype ${shown(datatype)}`);
  const right = shape.length === known.shape.length && known.shape.every((size, n) => size < 0 || size === shape[n]);
  if (!right || shape.some((size) => size < 1)) throw wrong(`input ${name} has the shape ${shapeText(shape)}`);
  if ((shape[0] as number) > limits.MAX_IMAGES) throw tooManyImages(limits.MAX_IMAGES);
  return name === 'image' ? fromPixels(input, limits) : fromFiles(input, limits);
}

function fromPixels({ shape, data, binary }: Input, limits: InputLimits): Uint8Array[] {
  const [count, height, width] = shape as [number, number, number, number];
  const each = height * width * 3;
  if (each > limits.MAX_IMAGE_BYTES) throw pictureTooLarge(0, limits.MAX_IMAGE_BYTES);
  const all = binary ?? numbers(data, shape);
  if (all.length !== count * each)
    throw wrong(`input image has ${all.length} bytes`, `${count * each}, as its shape ${shapeText(shape)} says`);
  return Array.from({ length: count }, (_, n) => fileOfPixels(all.subarray(n * each, (n + 1) * each), width, height));
}

/** Numbers in the shape of the tensor, or flat -> uint8. */
function numbers(data: unknown, shape: readonly number[]): Uint8Array {
  const flat: unknown[] = [];
  flatten(data, Array.isArray(data) && Array.isArray(data[0]) ? shape : [product(shape)], flat);
  const bytes = new Uint8Array(flat.length); // not of the shape, which a client may claim without sending so much
  for (let n = 0; n < flat.length; n++) {
    const value = flat[n];
    if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > 255)
      throw wrong(`input image has ${shown(value)} at place ${n}`, 'whole numbers from 0 to 255');
    bytes[n] = value as number;
  }
  return bytes;
}

/** Appends the values of nested arrays to `into`. Raises unless each level has the length that the shape says. */
function flatten(data: unknown, [size = 0, ...inner]: readonly number[], into: unknown[]): void {
  if (!Array.isArray(data))
    throw wrong('the data of input image is no array', 'an array, flat or in the shape of the tensor');
  if (data.length !== size)
    throw wrong(
      `the data of input image has ${data.length} values where its shape says ${size}`,
      'as many as the shape says',
    );
  for (const value of data) {
    if (inner.length > 0) flatten(value, inner, into);
    else into.push(value);
  }
}

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

function fromFiles({ shape, data, binary }: Input, { MAX_IMAGE_BYTES }: InputLimits): Uint8Array[] {
  const [count] = shape as [number];
  const files = binary ? elements(binary, count) : filesOf(data, count);
  files.forEach((file, n) => {
    if (file.length > MAX_IMAGE_BYTES) throw pictureTooLarge(n, MAX_IMAGE_BYTES);
  });
  return files;
}

/**
 * BYTES as binary data: before each element its length, in 4 bytes, the least significant first. Reads no more of them
 * than there should be, as each takes far more memory than an empty one has bytes.
 */
function elements(binary: Uint8Array, count: number): Uint8Array[] {
  const lengths = new DataView(binary.buffer, binary.byteOffset, binary.byteLength);
  const found: Uint8Array[] = [];
  for (let at = 0; at < binary.length; ) {
    if (found.length === count) throw notAsMany(`more than ${count}`, count);
    const end = at + 4 <= binary.length ? at + 4 + lengths.getUint32(at, true) : Number.POSITIVE_INFINITY;
    if (end > binary.length)
      throw wrong(
        `element ${found.length} of input image_bytes ends beyond its data`,
        'before each element its length, as 4 bytes, the least significant first',
      );
    found.push(binary.subarray(at + 4, end));
    at = end;
  }
  if (found.length < count) throw notAsMany(found.length, count);
  return found;
}

const notAsMany = (elements: number | string, count: number) =>
  wrong(`input image_bytes has ${elements} elements`, `${count}, as its shape says`);

/** Values of BYTES: buffers are taken as they are, texts are base64. */
function filesOf(data: unknown, count: number): Uint8Array[] {
  if (Array.isArray(data) && data.length !== count) throw notAsMany(data.length, count);
  if (Array.isArray(data) && data.every((value) => value instanceof Uint8Array)) return data;
  if (Array.isArray(data) && data.every((value) => typeof value === 'string')) return data.map(fromBase64);
  throw wrong('the data of input image_bytes is no array of text', 'an array of base64, one text for each picture');
}

const BASE64 = /^[A-Za-z\d+/]*={0,2}$/;

/** One picture of JSON, which has no bytes. n: its place, for the error. */
function fromBase64(text: string, n: number): Buffer {
  if (text.length % 4 === 0 && BASE64.test(text)) return Buffer.from(text, 'base64');
  throw wrong(
    `element ${n} of input image_bytes is not base64`,
    'base64 with its padding (RFC 4648, 4), or the bytes as they are as binary data',
  );
}

const shapeText = (shape: readonly number[]) =>
  `[${shape.slice(0, SHOWN_DIMENSIONS).join(', ')}${shape.length > SHOWN_DIMENSIONS ? ', ...' : ''}]`;

/** A value that a client sent, for an error: as JSON, cut. */
export function shown(value: unknown): string {
  // Not as JSON: what is nested a million times overflows the stack there, though not when it is read.
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'nothing');
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}

/** Decimal digits that tell every float32 from all others; more would be noise. */
const FLOAT32_DIGITS = 9;

export const short = (value: number): number => Number(Math.fround(value).toPrecision(FLOAT32_DIGITS));

/** float32 as binary data: the least significant byte first, as on every processor that onnxruntime runs on. */
export function floatBytes(rows: readonly ArrayLike<number>[]): Buffer {
  const classes = rows[0]?.length ?? 0;
  const all = new Float32Array(rows.length * classes);
  for (const [n, row] of rows.entries()) all.set(row, n * classes);
  return Buffer.from(all.buffer);
}

/** Texts as BYTES in binary data: before each its length in 4 bytes. */
export function textBytes(elements: readonly string[]): Buffer {
  return Buffer.concat(
    elements.flatMap((element) => {
      const bytes = Buffer.from(element);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}
