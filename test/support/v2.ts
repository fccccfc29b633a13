/** Requests of the Open Inference Protocol. */
import type { Test } from 'tap';
import type { z } from 'zod';
import type { ErrorCode } from '../../src/errors.js';
import { PROBLEMS } from '../../src/http/problem.js';
import { inferResponse, v2Error } from '../../src/oip/schemas.js';

export const INFER = '/v2/models/tiny/infer';

/** Posts JSON, or bytes as they are. No Content-Type but what fetch or the headers say. */
export function post(
  url: string,
  body: object | Uint8Array,
  headers: Record<string, string> = {},
  path = INFER,
): Promise<Response> {
  const bytes = body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
  return fetch(`${url}${path}`, { method: 'POST', body: bytes as NonNullable<RequestInit['body']>, headers });
}

/** JSON with the bytes of its input behind it, and the header that says where they begin. */
export function withBinary(json: object, tensor: Uint8Array): [body: Buffer, headers: Record<string, string>] {
  const head = Buffer.from(JSON.stringify(json));
  return [Buffer.concat([head, tensor]), { 'Inference-Header-Content-Length': String(head.length) }];
}

/** BYTES as binary data. */
export const bytesTensor = (elements: readonly Uint8Array[]): Buffer =>
  Buffer.concat(
    elements.flatMap((element) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(element.length);
      return [length, element];
    }),
  );

/** Of a picture of 16 x 16 pixels, each another. */
export const pixels = (width = 16, height = 16): Buffer =>
  Buffer.from(Array.from({ length: width * height * 3 }, (_, n) => (n * 7) % 256));

export const imageInput = (data: unknown, shape: number[] = [1, 16, 16, 3]) => ({
  name: 'image',
  shape,
  datatype: 'UINT8',
  data,
});

export const filesInput = (files: readonly Uint8Array[]) => ({
  name: 'image_bytes',
  shape: [files.length],
  datatype: 'BYTES',
  data: files.map((file) => Buffer.from(file).toString('base64')),
});

/** The answer in JSON alone, once it is one of the protocol. */
export async function isAnswer(t: Test, response: Response): Promise<z.infer<typeof inferResponse>> {
  const text = await response.text();
  t.equal(response.status, 200, text);
  t.equal(response.headers.get('content-type'), 'application/json');
  t.equal(response.headers.get('inference-header-content-length'), null);
  return inferResponse.parse(JSON.parse(text));
}

/** The text of the error, once it is one of the protocol with the status of that code. */
export async function isV2Error(t: Test, response: Response, code: ErrorCode): Promise<string> {
  const text = await response.text();
  t.equal(response.status, PROBLEMS[code].status, text);
  t.equal(response.headers.get('content-type'), 'application/json', 'as clients of KServe want it, without a charset');
  const { error } = v2Error.parse(JSON.parse(text));
  t.match(error, new RegExp(`^${code}( in picture \\d+ \\(counted from 0\\))?: .+; expected: .+; what to do: .+`));
  if ([429, 503].includes(response.status)) t.ok(Number(response.headers.get('retry-after')) >= 1, 'Retry-After');
  return error;
}
