/** What a picture's header says, before any pixel is decoded. Input is hostile. */
import { fileTypeFromBuffer } from 'file-type';
import type { Metadata } from 'sharp';
import { DimmerError, messageOf } from '../errors.js';
import type { ResizeRule } from '../family/instance.js';
import { sharp } from './sharp.js';

export type Kind = 'JPEG' | 'PNG' | 'WebP' | 'AVIF' | 'GIF' | 'TIFF';

/** What the loader says of a picture, before any pixel is decoded. Plain data: it may cross to another process. */
export interface Header {
  readonly kind: Kind;
  /** Of the first frame, as it is stored. */
  readonly width: number;
  readonly height: number;
  /** The same, turned as EXIF says. */
  readonly oriented: { readonly width: number; readonly height: number };
  /** As libvips names them. */
  readonly depth: string;
  readonly space: string;
  /** Bytes of memory that decoding will need at most. */
  readonly memoryBytes: number;
}

export interface DecodeLimits {
  readonly maxPixels: number;
}

const KINDS: Record<string, Kind> = { jpeg: 'JPEG', png: 'PNG', webp: 'WebP', heif: 'AVIF', gif: 'GIF', tiff: 'TIFF' };
const EXPECTED = `a picture: ${Object.values(KINDS).join(', ')} (told by its bytes, not by Content-Type)`;

/**
 * Reads headers only; cheap.
 *
 * Raises DimmerError unsupported-media, image-too-large (pixels) or invalid-image.
 */
export async function inspect(bytes: Uint8Array, _rule: ResizeRule, limits: DecodeLimits): Promise<Header> {
  if (bytes.length === 0) throw await otherKind(bytes);
  const header = await readHeader(bytes);
  const { width, height } = header;
  if (width * height > limits.maxPixels) {
    throw new DimmerError('image-too-large', {
      detail: `the picture is ${width} x ${height}, ${width * height} pixels`,
      expected: `at most ${limits.maxPixels} pixels (MAX_IMAGE_PIXELS)`,
      action: 'make it smaller before sending; the network sees it far smaller still',
    });
  }
  return {
    kind: KINDS[header.format] as Kind,
    width,
    height,
    oriented: header.autoOrient,
    depth: header.depth,
    space: header.space,
    memoryBytes: 20e6 + 16 * width * height,
  };
}

async function readHeader(bytes: Uint8Array): Promise<Metadata> {
  try {
    return await sharp(bytes, { limitInputPixels: false, failOn: 'error' }).metadata();
  } catch (error) {
    if (messageOf(error).includes('unsupported image format')) throw await otherKind(bytes);
    throw (await fileTypeFromBuffer(bytes))?.mime.startsWith('image/hei') ? await otherKind(bytes) : damaged(error);
  }
}

/** The picture was of a kind that we read, but could not be read. */
export function damaged(error: unknown): DimmerError {
  return new DimmerError('invalid-image', {
    detail: `the picture cannot be decoded: ${messageOf(error).split('\n')[0]}`,
    expected: 'a whole, undamaged picture',
    action: 'check that the upload was complete and that the file opens in a viewer',
  });
}

async function otherKind(bytes: Uint8Array): Promise<DimmerError> {
  const kind = bytes.length ? await fileTypeFromBuffer(bytes) : undefined;
  return new DimmerError('unsupported-media', {
    detail: `the body is ${describe(bytes, kind?.mime)}`,
    expected: EXPECTED,
    action: 'convert it, for instance to JPEG, and send the bytes of the file itself',
  });
}

function describe(bytes: Uint8Array, mime: string | undefined): string {
  if (bytes.length === 0) return 'empty';
  const start = Buffer.from(bytes.subarray(0, 1024)).toString('latin1');
  if (/<svg[\s>]/i.test(start)) return 'an SVG drawing, which is not read';
  if (mime?.startsWith('image/hei')) return 'a HEIC picture, which is not read';
  if (mime === 'application/pdf') return 'a PDF document, which is not read';
  return mime ? `of kind ${mime}` : 'no picture of a known kind';
}
