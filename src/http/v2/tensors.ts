/** Tensors of the Open Inference Protocol: pictures out of a request's input, scores into an answer's outputs. Pure. */
import { DimmerError } from '../../errors.js';
import { fileOfPixels } from '../../image/pixels.js';
import { pictureTooLarge, tooManyImages } from '../form.js';

export interface InputLimits {
  readonly MAX_IMAGES: number;
  readonly MAX_IMAGE_BYTES: number;
}

/** One input of a request, as its JSON describes it. */
export interface Input {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  /** What the JSON has; undefined if the tensor follows as bytes. */
  readonly data: unknown;
  /** The tensor as bytes; undefined if the JSON has it. */
  readonly binary: Buffer | undefined;
}

export const INPUTS = [
  { name: 'image', datatype: 'UINT8', shape: [-1, -1, -1, 3], words: '[pictures, height, width, 3], RGB' },
  { name: 'image_bytes', datatype: 'BYTES', shape: [-1], words: '[pictures], each the bytes of a picture file' },
] as const;

const EXPECTED = `one input: ${INPUTS.map((i) => `${i.name} ${i.datatype} ${i.words}`).join('; or ')}`;

export function wrong(
  detail: string,
  expected = EXPECTED,
  action = 'correct the request; docs/protocols.md describes it',
) {
  return new DimmerError('invalid-request', { detail, expected, action });
}

/**
 * Encoded pictures, as /classify gets them. Those of BYTES in binary are views of the input.
 * Raises DimmerError invalid-request, too-many-images or image-too-large.
 */
export function picturesOf(input: Input, limits: InputLimits): Uint8Array[] {
  const { name, datatype, shape } = input;
  const known = INPUTS.find((i) => i.name === name);
  if (!known) throw wrong(`there is no input ${shown(name)}`);
  if (datatype !== known.datatype) throw wrong(`input ${name} has the datatype ${shown(datatype)}`);
  const right = shape.length === known.shape.length && known.shape.every((size, n) => size < 0 || size === shape[n]);
  if (!right || shape.includes(0)) throw wrong(`input ${name} has the shape [${shape.join(', ')}]`);
  if ((shape[0] as number) > limits.MAX_IMAGES) throw tooManyImages(limits.MAX_IMAGES);
  return name === 'image' ? fromPixels(input, limits) : fromFiles(input, limits);
}

function fromPixels({ shape, data, binary }: Input, limits: InputLimits): Uint8Array[] {
  const [count, height, width] = shape as [number, number, number, number];
  const each = height * width * 3;
  if (each > limits.MAX_IMAGE_BYTES) throw pictureTooLarge(0, limits.MAX_IMAGE_BYTES);
  const all = binary ?? numbers(data, shape);
  if (all.length !== count * each)
    throw wrong(`input image has ${all.length} bytes`, `${count * each}, as its shape [${shape.join(', ')}] says`);
  return Array.from({ length: count }, (_, n) => fileOfPixels(all.subarray(n * each, (n + 1) * each), width, height));
}

/** uint8 of JSON numbers, in the shape of the tensor or flat. */
function numbers(data: unknown, shape: readonly number[]): Uint8Array {
  const flat: unknown[] = [];
  flatten(data, Array.isArray(data) && Array.isArray(data[0]) ? shape : [product(shape)], flat);
  const bytes = new Uint8Array(flat.length); // not of the shape: that is only what a client says
  for (let n = 0; n < flat.length; n++) {
    const value = flat[n];
    if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > 255)
      throw wrong(`input image has ${shown(value)} at place ${n}`, 'whole numbers from 0 to 255');
    bytes[n] = value as number;
  }
  return bytes;
}

/** Appends what lies in these arrays within arrays. Raises unless each level has as many as the shape says. */
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
  const files = binary ? elements(binary) : texts(data).map(fromBase64);
  if (files.length !== count)
    throw wrong(`input image_bytes has ${files.length} elements`, `${count}, as its shape says`);
  files.forEach((file, n) => {
    if (file.length > MAX_IMAGE_BYTES) throw pictureTooLarge(n, MAX_IMAGE_BYTES);
  });
  return files;
}

/** BYTES as binary data: each element is a length of 32 bits, the least significant byte first, and so many bytes. */
function elements(binary: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < binary.length; ) {
    const end = at + 4 <= binary.length ? at + 4 + binary.readUInt32LE(at) : Number.POSITIVE_INFINITY;
    if (end > binary.length)
      throw wrong(
        `element ${found.length} of input image_bytes ends beyond its data`,
        'before each element its length, as 4 bytes, the least significant first',
      );
    found.push(binary.subarray(at + 4, end));
    at = end;
  }
  return found;
}

function texts(data: unknown): string[] {
  if (Array.isArray(data) && data.every((value) => typeof value === 'string')) return data;
  throw wrong('the data of input image_bytes is no array of text', 'an array of base64, one text for each picture');
}

const BASE64 = /^[A-Za-z\d+/]*={0,2}$/;

/** JSON has no bytes. */
function fromBase64(text: string, n: number): Buffer {
  if (text.length % 4 === 0 && BASE64.test(text)) return Buffer.from(text, 'base64');
  throw wrong(
    `element ${n} of input image_bytes is not base64`,
    'base64 with its padding (RFC 4648, 4), or the bytes as they are as binary data',
  );
}

/** Values of clients are shown short. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}

/** What a float32 needs to be told from every other one; more digits would be noise. */
const FLOAT32_DIGITS = 9;

export const short = (value: number): number => Number(Math.fround(value).toPrecision(FLOAT32_DIGITS));

/** float32 as binary data: the least significant byte first, as on every processor that onnxruntime runs on. */
export function floatBytes(rows: readonly ArrayLike<number>[]): Buffer {
  const classes = rows[0]?.length ?? 0;
  const all = new Float32Array(rows.length * classes);
  for (const [n, row] of rows.entries()) all.set(row, n * classes);
  return Buffer.from(all.buffer);
}

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
