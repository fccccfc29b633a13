/** A collector of OpenTelemetry that keeps the spans it is sent: OTLP over HTTP in protobuf, as in opentelemetry-proto. */
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { Test } from 'tap';

export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first span of a trace. */
  readonly parentId: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  /** Unix time in ns. */
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** 0 unset, 1 ok, 2 error. */
  readonly status: number;
  readonly message: string;
  /** Of what sent it. */
  readonly resource: Readonly<Record<string, unknown>>;
}

type Fields = Map<number, (bigint | Uint8Array)[]>;

/** The fields of a message, by number, with their values as they are encoded. */
function fieldsOf(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const fields: Fields = new Map();
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const value =
      type === WireType.LengthDelimited
        ? reader.bytes()
        : type === WireType.Bit64
          ? BigInt(reader.fixed64())
          : type === WireType.Bit32
            ? BigInt(reader.fixed32())
            : BigInt(reader.int64());
    fields.set(number, [...(fields.get(number) ?? []), value]);
  }
  return fields;
}

const messages = (fields: Fields, number: number) => (fields.get(number) ?? []).map((v) => fieldsOf(v as Uint8Array));
const bytes = (fields: Fields, number: number) =>
  Buffer.from((fields.get(number)?.[0] as Uint8Array | undefined) ?? []);
const hex = (fields: Fields, number: number) => bytes(fields, number).toString('hex');
const text = (fields: Fields, number: number) => bytes(fields, number).toString();
const whole = (fields: Fields, number: number) => (fields.get(number)?.[0] as bigint | undefined) ?? 0n;

function decoded(any: Fields): unknown {
  if (any.has(1)) return text(any, 1);
  if (any.has(2)) return whole(any, 2) === 1n;
  if (any.has(3)) return Number(whole(any, 3));
  if (!any.has(4)) return undefined;
  const double = new DataView(new ArrayBuffer(8));
  double.setBigUint64(0, whole(any, 4));
  return double.getFloat64(0);
}

const attributesOf = (fields: Fields, number: number) =>
  Object.fromEntries(messages(fields, number).map((pair) => [text(pair, 1), messages(pair, 2).map(decoded)[0]]));

/** The spans of an ExportTraceServiceRequest. */
export function spansOf(body: Uint8Array): Span[] {
  return messages(fieldsOf(body), 1).flatMap((group) => {
    const resource = messages(group, 1).map((r) => attributesOf(r, 1))[0] ?? {};
    return messages(group, 2)
      .flatMap((scope) => messages(scope, 2))
      .map((span) => ({
        traceId: hex(span, 1),
        spanId: hex(span, 2),
        parentId: hex(span, 4),
        name: text(span, 5),
        kind: Number(whole(span, 6)),
        start: whole(span, 7),
        end: whole(span, 8),
        attributes: attributesOf(span, 9),
        status: Number(messages(span, 15).map((status) => whole(status, 3))[0] ?? 0),
        message: messages(span, 15).map((status) => text(status, 2))[0] ?? '',
        resource,
      }));
  });
}

export interface Sent {
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Starts a collector; it is closed when the test ends. answer: how it answers, default: that it took all. */
export async function collector(t: Test, answer: (response: ServerResponse) => void = (response) => response.end()) {
  const spans: Span[] = [];
  const requests: Sent[] = [];
  const listen: RequestListener = async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    requests.push({ path: request.url ?? '', headers: request.headers });
    spans.push(...spansOf(Buffer.concat(parts)));
    answer(response);
  };
  const server = createServer(listen);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const of = (traceId: string) => spans.filter((s) => s.traceId === traceId);
  return { url, spans, requests, of };
}
