/**
 * Limits what decoding a ModelInferRequest may cost, by its tags alone, before anything is decoded. A message of a few
 * MiB can hold millions of empty fields, each of which would become an object. Pure. Input is hostile.
 */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { DimmerError } from '../errors.js';
import { tooManyImages } from '../image/refusals.js';
import { wrong } from '../oip/tensors.js';

export interface MessageLimits {
  readonly MAX_IMAGES: number;
  readonly MAX_JSON_BYTES: number;
}

/**
 * Fields outside of the values of tensors. A request has some twenty. Too low: refuses clients that send many parameters
 * of their own. Too high: memory, as a field of two bytes can become an object of 200.
 */
const MOST_FIELDS = 1000;

/** A message and its fields that are walked into. Others are skipped and count as one field. */
interface Shape {
  readonly fields?: Readonly<Record<number, Shape>>;
  /** A field with bytes, which are not copied: they count neither as fields nor as bytes to decode. */
  readonly bytes?: number;
  /** Whether fields are numbers of a tensor, which are limited by their bytes. */
  readonly values?: boolean;
  /** Fields with 64-bit numbers, in packed form or not: each number counts as a field, as it becomes an object. */
  readonly longs?: readonly number[];
}

/** Field numbers of proto/open_inference_grpc.proto. */
const CONTENTS: Shape = { bytes: 8, values: true, longs: [3, 5] };
const INPUT: Shape = { fields: { 5: CONTENTS }, longs: [3] };
const OUTPUT: Shape = {};
const REQUEST: Shape = { fields: { 5: INPUT, 6: OUTPUT }, bytes: 7 };

/** Raises DimmerError invalid-request, too-many-images or image-too-large. */
export function assertCheap(message: Uint8Array, limits: MessageLimits): void {
  try {
    new Scan(limits).walk(message, REQUEST);
  } catch (error) {
    throw error instanceof DimmerError ? error : malformed();
  }
}

/** Sums up a message and those within it. */
class Scan {
  readonly #limits: MessageLimits;
  #fields = 0;
  #decodedBytes = 0;

  constructor(limits: MessageLimits) {
    this.#limits = limits;
  }

  walk(message: Uint8Array, shape: Shape): void {
    const reader = new BinaryReader(message);
    let elements = 0;
    while (reader.pos < reader.len) {
      const start = reader.pos;
      const [number, type] = reader.tag();
      const content = readField(reader, number, type);
      const inner = content && shape.fields?.[number];
      const isElement = content !== undefined && number === shape.bytes;
      if (isElement) elements += 1;
      if (inner) this.walk(content, inner);
      const elsewhere = isElement || inner ? content.length : 0;
      this.#add(fieldsOf(shape, number, content), reader.pos - start - elsewhere);
      if (elements > this.#limits.MAX_IMAGES) throw tooManyImages(this.#limits.MAX_IMAGES);
    }
  }

  #add(fields: number, bytes: number): void {
    this.#fields += fields;
    this.#decodedBytes += bytes;
    if (this.#fields > MOST_FIELDS)
      throw wrong(
        `the message has more than ${MOST_FIELDS} fields and 64-bit numbers`,
        'one input with pixels in raw_input_contents or uint_contents, each output once, few parameters',
      );
    if (this.#decodedBytes > this.#limits.MAX_JSON_BYTES) throw tooMuchToDecode(this.#limits.MAX_JSON_BYTES);
  }
}

/** Reads a field behind its tag. Returns its bytes; undefined if it is no bytes but a number. */
function readField(reader: BinaryReader, number: number, type: WireType): Uint8Array | undefined {
  if (type === WireType.LengthDelimited) return reader.bytes();
  reader.skip(type, number);
  return undefined;
}

/** As how many fields one counts. content: as readField returns it. */
function fieldsOf({ longs, values }: Shape, number: number, content: Uint8Array | undefined): number {
  if (longs?.includes(number)) return content ? varints(content) : 1;
  return values ? 0 : 1;
}

/** How many numbers a packed field has: the last byte of each is below 128. */
function varints(packed: Uint8Array): number {
  let count = 0;
  for (const byte of packed) if (byte < 128) count += 1;
  return count;
}

const tooMuchToDecode = (most: number) =>
  new DimmerError('image-too-large', {
    detail: `the message has more than ${most} bytes outside of raw_input_contents and bytes_contents`,
    expected: `at most ${most} (MAX_JSON_BYTES)`,
    action: 'send pixels in raw_input_contents, and files there or in bytes_contents, which do not count',
  });

export const malformed = () =>
  wrong(
    'the message cannot be decoded',
    'a ModelInferRequest in protobuf',
    'make the client from proto/open_inference_grpc.proto, or from the server by reflection',
  );
