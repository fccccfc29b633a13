/** The error for a body that is no picture of a supported format: says what it is and how to convert it. */
import { fileTypeFromBuffer } from 'file-type';
import { DimmerError } from '../errors.js';

export const KINDS = ['JPEG', 'PNG', 'WebP', 'AVIF', 'GIF', 'TIFF'] as const;
const EXPECTED = `a picture: ${KINDS.join(', ')} (told by its bytes, not by Content-Type)`;
const CONVERT = 'convert it, for instance to JPEG, and send the bytes of the file itself';

/** How many bytes are looked at to recognise a kind of text. */
const START_BYTES = 4096;

interface Description {
  readonly what: string;
  readonly action: string;
}

/** Descriptions by the start of the media type that file-type detects; the first match counts. */
const BY_MEDIA: readonly [start: string, what: string, action?: string][] = [
  ['image/svg', 'an SVG drawing', 'render it to PNG and send that'],
  ['image/hei', 'a HEIC picture'],
  ['image/jxl', 'a JPEG XL picture'],
  ['image/jp', 'a JPEG 2000 picture'],
  ['image/jls', 'a JPEG-LS picture'],
  ['image/bmp', 'a BMP picture'],
  ['image/x-icon', 'an icon (ICO)'],
  ['image/vnd.adobe.photoshop', 'a Photoshop document'],
  ['image/x-canon', 'a raw file of a camera', 'develop it to JPEG and send that'],
  [
    'image/x-',
    'a raw file of a camera, or another uncommon kind of picture',
    'develop or convert it to JPEG and send that',
  ],
  ['image/', 'a picture of another kind'],
  ['application/pdf', 'a PDF document', 'render the page to PNG and send that'],
  ['application/zip', 'a ZIP archive', 'send the pictures in it one by one, or as a form'],
  ['application/gzip', 'compressed with gzip', 'send the bytes of the file itself, without Content-Encoding'],
  ['video/', 'a video', 'send one of its frames as JPEG'],
  ['audio/', 'a sound'],
];

/** Descriptions by the start of a text; the first match counts, because an HTML page may contain an SVG drawing. */
const BY_TEXT: readonly [start: RegExp, what: string, action?: string][] = [
  [/^data:/i, 'a data: URL', 'decode what follows "base64," and send those bytes'],
  [
    /^(<!doctype html|<html|<head|<body)/i,
    'an HTML page',
    'send the picture itself; the address may have answered with a page',
  ],
  [/^<[\s\S]*<svg[\s>]|^<svg[\s>]/i, 'an SVG drawing', 'render it to PNG and send that'],
  [/^<\?xml/i, 'an XML document'],
  [/^[{[]/, 'JSON', 'send the bytes of the picture as the body, or as a part "image" of a form'],
  [/^https?:\/\/\S+\s*$/i, 'an address', 'fetch the picture and send its bytes; addresses are not fetched'],
  [/^P[1-7]\s/, 'a PPM or PGM file'],
  [/^--[\w'()+,./:=?-]+\r?\n/, 'a form', 'send it with Content-Type: multipart/form-data and its boundary'],
];
/** How pictures of the supported formats begin in base64. */
const BASE64_PICTURE = /^"?(\/9j\/|iVBORw0KGgo|R0lGOD|UklGR|SUkq|TU0AK|AAAA[\w+/]{2}Z0eXB)/;
const BASE64 = /^[\w+/\s-]{64,}={0,2}\s*$/;

/** The error unsupported-media for a body of no supported format. */
export async function otherKind(bytes: Uint8Array): Promise<DimmerError> {
  const { what, action } = await describe(bytes);
  return new DimmerError('unsupported-media', { detail: `the body is ${what}`, expected: EXPECTED, action });
}

async function describe(bytes: Uint8Array): Promise<Description> {
  if (bytes.length === 0) return { what: 'empty', action: 'send the bytes of the picture as the body' };
  if (bytes.every((byte) => byte === 0))
    return { what: 'nothing but zero bytes', action: 'check how the file was written' };
  const text = asText(bytes) ?? asText(bytes, 'utf16le');
  if (text !== undefined) return ofText(text);
  // file-type throws if a file ends within its header; such a body counts as unknown.
  const kind = await fileTypeFromBuffer(bytes).catch(() => undefined);
  const known = kind && BY_MEDIA.find(([start]) => kind.mime.startsWith(start));
  if (known) return { what: `${known[1]}, which is not read`, action: known[2] ?? CONVERT };
  return { what: kind ? `of kind ${kind.mime}` : 'no picture of a known kind', action: CONVERT };
}

/** The start of the body as text, without byte order mark and leading space; undefined if it is not text. */
function asText(bytes: Uint8Array, encoding: 'utf8' | 'utf16le' = 'utf8'): string | undefined {
  const start = Buffer.from(bytes.subarray(0, START_BYTES)).toString(encoding);
  // Almost any bytes are valid UTF-16, so a byte order mark is required.
  if (encoding === 'utf16le' && !start.startsWith('\ufeff')) return undefined;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters distinguish bytes from text
  if (/[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(start)) return undefined;
  // The last character may be cut off.
  if (start.slice(0, -1).includes('\ufffd') || start === '\ufffd') return undefined;
  return start.replace(/^\ufeff?\s*/, '');
}

function ofText(text: string): Description {
  if (BASE64_PICTURE.test(text) || BASE64.test(text))
    return { what: 'base64 text', action: 'decode it and send the bytes that it stands for' };
  const known = BY_TEXT.find(([start]) => start.test(text));
  if (known) return { what: `${known[1]}, not a picture`, action: known[2] ?? CONVERT };
  return /^%PDF-/.test(text)
    ? { what: 'a PDF document, which is not read', action: 'render the page to PNG and send that' }
    : { what: 'text, no picture of a known kind', action: 'send the bytes of the picture as the body' };
}
