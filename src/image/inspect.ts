/** Reads and checks the header of a picture before any pixel is decoded. Input is hostile. */
import type { Metadata } from 'sharp';
import { DimmerError, messageOf } from '../errors.js';
import type { ResizeRule } from '../family/instance.js';
import { otherKind } from './describe.js';
import { type FirstPicture, invalid, type Kind, unsupported } from './files/first-picture.js';
import { readFirstPicture } from './files/read.js';
import { sharp } from './sharp.js';

/** Facts about the first picture of a file. Plain data, so that it can be sent to another process. */
export interface Header {
  readonly kind: Kind;
  /** In pixels, as stored, before EXIF rotation. */
  readonly width: number;
  readonly height: number;
  /** Size in pixels after EXIF rotation. */
  readonly oriented: { readonly width: number; readonly height: number };
  /** Colour space, by its name in libvips. */
  readonly space: string;
  /** Upper bound of the memory that decoding takes, without the file itself. */
  readonly memoryBytes: number;
}

export interface DecodeLimits {
  readonly maxPixels: number;
}

/** sharp's name of a loader -> format. */
const KINDS: Record<string, Kind> = { jpeg: 'JPEG', png: 'PNG', webp: 'WebP', heif: 'AVIF', gif: 'GIF', tiff: 'TIFF' };
/** Supported sample types by their libvips names -> bytes of a sample. */
const SAMPLE_BYTES: Record<string, number> = { uchar: 1, ushort: 2 };
/** Supported colour spaces by their libvips names. */
const SPACES = new Set(['srgb', 'rgb16', 'b-w', 'grey16', 'cmyk']);
/** CMYK and alpha. */
const MAX_CHANNELS = 5;
/**
 * Memory of a decode besides pixels: buffers of libvips and of resizing. Measured with tiny and very narrow pictures.
 */
const BASE_BYTES = 8e6;

/**
 * Reads and checks the header of an encoded picture. Cheap, as no pixel is decoded.
 *
 * Raises DimmerError unsupported-media, image-too-large (pixels) or invalid-image.
 */
export async function inspect(bytes: Uint8Array, rule: ResizeRule, limits: DecodeLimits): Promise<Header> {
  const picture = readFirstPicture(bytes);
  if (!picture) throw await otherKind(bytes);
  const metadata = await readHeader(picture);
  const { width, height, channels, depth, space, autoOrient } = metadata;
  if (width * height > limits.maxPixels) {
    throw new DimmerError('image-too-large', {
      detail: `the picture is ${width} x ${height}, ${width * height} pixels`,
      expected: `at most ${limits.maxPixels} pixels (MAX_IMAGE_PIXELS)`,
      action: 'make it smaller before sending; the network sees it far smaller still',
    });
  }
  const bytesPerSample = SAMPLE_BYTES[depth];
  if (!bytesPerSample || !SPACES.has(space) || channels > MAX_CHANNELS)
    throw unsupported(
      `${nameOf(picture.kind)} of ${channels} channels of ${depth} in ${space}`,
      'grey, palette, RGB or CMYK of 8 or 16 unsigned bits',
    );
  const shrink = Math.max(1, Math.min(width, height) / rule.size);
  return {
    kind: picture.kind,
    width,
    height,
    oriented: autoOrient,
    space,
    memoryBytes: Math.ceil(
      BASE_BYTES + picture.memoryBytes({ width, height, bytesPerPixel: channels * bytesPerSample, shrink }),
    ),
  };
}

async function readHeader({ kind, bytes }: FirstPicture): Promise<Metadata> {
  const metadata = await sharp(bytes, { limitInputPixels: false, failOn: 'error' })
    .metadata()
    .catch((error) => {
      throw damaged(kind, error);
    });
  // A polyglot file, which the loader takes for another format than its first bytes say, is refused.
  if (KINDS[metadata.format] !== kind)
    throw invalid(`the picture begins as ${kind}, but is read as ${metadata.format}`);
  return metadata;
}

const nameOf = (kind: Kind) => `${kind === 'AVIF' ? 'an' : 'a'} ${kind}`;

/** The error for a picture that its loader could not read. The loader's message is not passed on to the client. */
export function damaged(kind: Kind, error: unknown): DimmerError {
  // libheif's reader gives this warning for every file.
  const text = messageOf(error).replace(/^.*source: bad seek.*$/gm, '');
  if (/not configured|not implemented|unsupported/i.test(text))
    return unsupported(`${nameOf(kind)} of an uncommon sort`, 'a common one, of 8 or 16 bits');
  const cut = /premature|truncat|unexpected end|end of (file|stream|image)|not enough|out of data|EOF/i.test(text);
  return invalid(`the ${kind} ${cut ? 'is cut off' : 'is corrupt'}: it cannot be decoded`);
}
