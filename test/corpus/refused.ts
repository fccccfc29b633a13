/** Valid pictures that are refused: of a variant that is not supported, or too expensive to decode. */
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import type { ErrorCode } from '../../src/errors.js';
import { MAX_SCANS } from '../../src/image/files/jpeg.js';
import { hugePng } from '../support/pictures.js';
import { encodeGif } from './encode/gif.js';
import { encodePng } from './encode/png.js';
import { encodeTiff, type TiffSort } from './encode/tiff.js';

export interface Refused {
  readonly name: string;
  readonly bytes: Buffer;
  readonly code: ErrorCode;
  readonly detail: RegExp;
}

const fixture = (name: string) => readFileSync(new URL(`../fixtures/pictures/${name}`, import.meta.url));

function tiff(name: string, sort: Partial<TiffSort>, detail: RegExp): Refused {
  const whole: TiffSort = { width: 16, height: 16, bits: 8, channels: 3, photometric: 2, ...sort };
  return { name: `TIFF ${name}`, bytes: encodeTiff(whole, (x, y) => (x + y) % 2), code: 'unsupported-media', detail };
}

export function tiffs(): Refused[] {
  const FORMAT = 339;
  const compressions: [number, RegExp][] = [
    [6, /old-style JPEG/],
    [34661, /JBIG/],
    [34676, /SGILog/],
    [34712, /JPEG 2000/],
    [34887, /LERC/],
    [34925, /LZMA/],
    [50000, /Zstandard/],
    [50001, /WebP/],
    [50002, /JPEG XL/],
    [12345, /compression 12345/],
  ];
  return [
    ...compressions.map(([compression, detail]) => tiff(`of compression ${compression}`, { compression }, detail)),
    tiff('of signed numbers', { tags: { [FORMAT]: [2] } }, /signed integer/),
    tiff('of 16-bit signed numbers', { bits: 16, tags: { [FORMAT]: [2] } }, /signed integer/),
    tiff('of 16-bit floating point', { bits: 16, tags: { [FORMAT]: [3] } }, /floating-point/),
    tiff('of complex numbers', { bits: 16, tags: { [FORMAT]: [6] } }, /complex/),
    tiff('RGB of 4 bits', { bits: 4 }, /colour of 4 bits/),
    tiff('RGB of 2 bits', { bits: 2 }, /colour of 2 bits/),
    tiff('Lab', { photometric: 8 }, /Lab/),
    tiff('Lab of 16 bits', { photometric: 8, bits: 16 }, /Lab/),
    tiff('ICC Lab', { photometric: 9 }, /Lab/),
    tiff('YCbCr without JPEG', { photometric: 6 }, /YCbCr/),
    tiff('LogLuv', { photometric: 32845 }, /LogLuv/),
    tiff('of a sensor', { photometric: 32803, channels: 1 }, /sensor/),
    tiff('a mask', { photometric: 4, channels: 1, bits: 1 }, /mask/),
    tiff('of five channels', { channels: 5, tags: { 338: [0, 0] } }, /5 samples/),
    tiff('a palette with alpha', { photometric: 3, channels: 2, tags: { 320: Array(768).fill(0) } }, /2 samples/),
    tiff('of tiles with separate planes', { planar: true, tile: 16 }, /separate planes/),
    tiff('that begins with a thumbnail', { tags: { 254: [1] } }, /thumbnail/),
    {
      ...tiff('of too many pixels', { width: 3000, height: 2000, bits: 1, channels: 1, photometric: 1 }, /3000 x 2000/),
      code: 'image-too-large',
    },
  ];
}

/** A JPEG whose last scan is repeated. */
export function withScans(jpeg: Buffer, count: number): Buffer {
  const last = jpeg.lastIndexOf(Buffer.from([0xff, 0xda]));
  const scan = jpeg.subarray(last, jpeg.length - 2);
  return Buffer.concat([jpeg.subarray(0, last), ...Array.from({ length: count }, () => scan), jpeg.subarray(-2)]);
}

export async function jpegs(): Promise<Refused[]> {
  const noise = {
    create: {
      width: 40,
      height: 40,
      channels: 3,
      background: '#888',
      noise: { type: 'gaussian', mean: 128, sigma: 40 },
    },
  } as const;
  const progressive = await sharp(noise).jpeg({ progressive: true }).toBuffer();
  const frameAt = progressive.indexOf(Buffer.from([0xff, 0xc2]));
  const changed = (at: number, value: number) => {
    const copy = Buffer.from(progressive);
    copy[frameAt + at] = value;
    return copy;
  };
  return [
    { name: 'JPEG of 2,647 scans', bytes: withScans(progressive, 2647), code: 'invalid-image', detail: /26\d\d scans/ },
    {
      name: `JPEG of ${MAX_SCANS + 10} scans`,
      bytes: withScans(progressive, MAX_SCANS + 1),
      code: 'invalid-image',
      detail: /scans/,
    },
    { name: 'JPEG of 12 bits', bytes: changed(4, 12), code: 'unsupported-media', detail: /12 bits/ },
    { name: 'JPEG, lossless', bytes: changed(1, 0xc3), code: 'unsupported-media', detail: /lossless or hierarchical/ },
    {
      name: 'JPEG, hierarchical',
      bytes: changed(1, 0xc5),
      code: 'unsupported-media',
      detail: /lossless or hierarchical/,
    },
    {
      name: 'JPEG without a frame',
      bytes: Buffer.from('ffd8ffe000104a46494600010100000100010000ffd9', 'hex'),
      code: 'invalid-image',
      detail: /JPEG/,
    },
    { name: 'JPEG of no height', bytes: changed(6, 0), code: 'invalid-image', detail: /JPEG/ },
  ];
}

const u16 = (value: number) => [value >> 8, value & 255];

export function avifs(): Refused[] {
  const sequence = fixture('sequence.avif');
  const withoutStill = Buffer.from(sequence);
  withoutStill.write('free', sequence.indexOf('meta'), 'latin1');
  const plain = fixture('444-8.avif');
  const codec = (name: string) => {
    const copy = Buffer.from(plain);
    copy.write(name, copy.indexOf('av01Color'), 'latin1');
    return copy;
  };
  const sized = (width: number, height: number) => {
    const copy = Buffer.from(plain);
    const at = copy.indexOf('ispe') + 8;
    copy.writeUInt32BE(width, at);
    copy.writeUInt32BE(height, at + 4);
    return copy;
  };
  const tiled = Buffer.from(fixture('grid.avif'));
  // Each tile says to be larger than the picture.
  for (let at = tiled.indexOf('ispe'); at >= 0; at = tiled.indexOf('ispe', at + 1))
    if (tiled.readUInt32BE(at + 8) === 64) tiled.set([...u16(0), ...u16(2000), ...u16(0), ...u16(2000)], at + 8);
  return [
    { name: 'HEIC', bytes: fixture('hevc.heic'), code: 'unsupported-media', detail: /HEIC/ },
    {
      name: 'AVIF sequence without a still picture',
      bytes: withoutStill,
      code: 'unsupported-media',
      detail: /sequence without a still/,
    },
    { name: 'HEIF of JPEG', bytes: codec('jpeg'), code: 'unsupported-media', detail: /HEIF picture of JPEG/ },
    { name: 'HEIF of H.264', bytes: codec('avc1'), code: 'unsupported-media', detail: /H\.264/ },
    { name: 'HEIF of an unknown codec', bytes: codec('zzzz'), code: 'unsupported-media', detail: /zzzz/ },
    { name: 'AVIF that says to be smaller than it is', bytes: sized(8, 8), code: 'invalid-image', detail: /AVIF/ },
    {
      name: 'AVIF that says to be 30,000 pixels wide',
      bytes: sized(30_000, 16),
      code: 'unsupported-media',
      detail: /30000 x 16/,
    },
    {
      name: 'AVIF that says to be huge',
      bytes: sized(16_000, 16_000),
      code: 'image-too-large',
      detail: /16000 x 16000/,
    },
    { name: 'AVIF of tiles larger than itself', bytes: tiled, code: 'invalid-image', detail: /tiles/ },
  ];
}

/** Sizes beyond MAX_IMAGE_PIXELS, and such as no file may have. */
export async function sizes(): Promise<Refused[]> {
  const png = (width: number, height: number) => {
    const bytes = encodePng({ width: 1, height: 1, depth: 1, colour: 0 }, () => 0);
    bytes.writeUInt32BE(width, 16);
    bytes.writeUInt32BE(height, 20);
    return bytes;
  };
  const gif = encodeGif({
    width: 65535,
    height: 65535,
    table: Buffer.alloc(768),
    frames: [{ width: 1, height: 1, index: () => 0 }],
  });
  gif.writeUInt16LE(60_000, gif.indexOf(0x2c, 13 + 768) + 5);
  gif.writeUInt16LE(60_000, gif.indexOf(0x2c, 13 + 768) + 7);
  const webp = await sharp({ create: { width: 3000, height: 2000, channels: 3, background: '#888' } })
    .webp()
    .toBuffer();
  // The checksum of a PNG's header is wrong then: it may be called damaged, but nothing is decoded.
  return [
    { name: 'PNG of 10,000,000 x 1', bytes: hugePng(10_000_000, 1), code: 'image-too-large', detail: /10000000 x 1/ },
    { name: 'PNG of 1 x 10,000,000', bytes: hugePng(1, 10_000_000), code: 'image-too-large', detail: /1 x 10000000/ },
    { name: 'PNG of no width', bytes: png(0, 1), code: 'invalid-image', detail: /PNG/ },
    { name: 'PNG of 2 ** 31 pixels a side', bytes: png(2 ** 31, 2 ** 31), code: 'invalid-image', detail: /PNG/ },
    { name: 'GIF of 60,000 x 60,000', bytes: gif, code: 'image-too-large', detail: /60000 x 60000/ },
    { name: 'WebP of 3000 x 2000', bytes: webp, code: 'image-too-large', detail: /3000 x 2000/ },
  ];
}
