/** Calls of the Open Inference Protocol over gRPC, by a client that is made from the same file. */
import { connect, type Settings } from 'node:http2';
import { fileURLToPath } from 'node:url';
import {
  type CallOptions,
  Client,
  type ClientUnaryCall,
  credentials,
  Metadata,
  type ServiceDefinition,
  type ServiceError,
  type status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import type { Test } from 'tap';
import type { Dependencies } from '../../src/app.js';
import type { ErrorCode } from '../../src/errors.js';
import { GRPC_CODES } from '../../src/grpc/codes.js';
import { PROBLEMS } from '../../src/http/problem.js';
import { createApp, readyApp } from './app.js';
import { pixels } from './v2.js';

const PROTO = fileURLToPath(new URL('../../proto/open_inference_grpc.proto', import.meta.url));
const DECODING = { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true };
export const PROTOCOL = loadSync([PROTO, protoPath], DECODING);
export const OIP = PROTOCOL['inference.GRPCInferenceService'] as ServiceDefinition;
export const HEALTH = PROTOCOL['grpc.health.v1.Health'] as ServiceDefinition;

// biome-ignore lint/suspicious/noExplicitAny: messages have no types, as proto-loader reads them at run time
type Message = any;

export interface Answer {
  readonly message: Message;
  readonly headers: Metadata;
}

/** A call that has not ended. */
export interface Pending {
  readonly answer: Promise<Answer>;
  cancel(): void;
}

export class Caller {
  readonly #client: Client;

  constructor(t: Test, address: string, options = {}) {
    // A pool of its own, so that each caller has a connection of its own.
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      ...options,
    });
    t.teardown(() => this.#client.close());
  }

  get client(): Client {
    return this.#client;
  }

  begin(name: string, message: object, headers: Record<string, string> = {}, options: CallOptions = {}): Pending {
    const definition = (name in OIP ? OIP[name] : HEALTH[name]) as NonNullable<(typeof OIP)[string]>;
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
    let call: ClientUnaryCall | undefined;
    const answer = new Promise<Answer>((resolve, reject) => {
      let received = new Metadata();
      call = this.#client.makeUnaryRequest(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        message,
        metadata,
        options,
        (error, response) => (error ? reject(error) : resolve({ message: response, headers: received })),
      );
      call.on('metadata', (headers) => {
        received = headers;
      });
    });
    answer.catch(() => {}); // looked at later
    return { answer, cancel: () => call?.cancel() };
  }

  async call(
    name: string,
    message: object = {},
    headers?: Record<string, string>,
    options?: CallOptions,
  ): Promise<Answer> {
    return this.begin(name, message, headers, options).answer;
  }

  /** The error of a call that fails. */
  async fail(
    name: string,
    message: object,
    headers?: Record<string, string>,
    options?: CallOptions,
  ): Promise<ServiceError> {
    return this.call(name, message, headers, options).then(
      () => {
        throw new Error(`${name} did not fail`);
      },
      (error) => error,
    );
  }
}

/** The whole application, with GRPC_PORT and a client for it. */
export async function grpcApp(t: Test, environment: Record<string, string> = {}, dependencies: Dependencies = {}) {
  const ready = await readyApp(t, { GRPC_PORT: '0', ...environment }, dependencies);
  const address = ready.app.grpcAddress as string;
  return { ...ready, address, caller: new Caller(t, address) };
}

/** The same, not started. */
export async function startingApp(t: Test, environment: Record<string, string> = {}) {
  const { app, url } = await createApp(t, { GRPC_PORT: '0', ...environment });
  return { app, url, caller: new Caller(t, app.grpcAddress as string) };
}

export const rawImage = (data: Buffer = pixels(), shape: number[] = [1, 16, 16, 3], parameters: object = {}) => ({
  model_name: 'tiny',
  inputs: [{ name: 'image', datatype: 'UINT8', shape }],
  raw_input_contents: [data],
  parameters,
});

export const fileImages = (files: readonly Uint8Array[], parameters: object = {}) => ({
  model_name: 'tiny',
  inputs: [{ name: 'image_bytes', datatype: 'BYTES', shape: [files.length], contents: { bytes_contents: files } }],
  parameters,
});

/** The parameters of an answer, as plain values. */
export const facts = ({ message }: Answer): Record<string, string | number | boolean> =>
  Object.fromEntries(
    Object.entries(message.parameters as Record<string, Message>).map(([name, value]) => [
      name,
      value[value.parameter_choice],
    ]),
  );

export const floats = (bytes: Buffer) => Array.from({ length: bytes.length / 4 }, (_, n) => bytes.readFloatLE(4 * n));

/** The text of an error, once it has the gRPC code of that error, its words and its trailers. */
export function isRefusal(t: Test, error: ServiceError, code: ErrorCode): string {
  t.equal(error.code, GRPC_CODES[PROBLEMS[code].status] as status, error.message);
  t.match(
    error.details,
    new RegExp(`^${code}( in picture \\d+ \\(counted from 0\\))?: .+; expected: .+; what to do: .+`),
  );
  t.match(String(error.metadata.get('x-request-id')[0]), /^[\w.-]+$/);
  if ([429, 503].includes(PROBLEMS[code].status))
    t.ok(Number(error.metadata.get('retry-after')[0]) >= 1, 'retry-after');
  return error.details;
}

/** A call by hand, to send what no library sends. Resolves to the status and text that end it. */
export function byHand(
  t: Test,
  address: string,
  headers: Record<string, string> = {},
  name = 'ModelInfer',
  settings: Settings = {},
) {
  const session = connect(`http://${address}`, { settings });
  session.on('error', () => {});
  t.teardown(() => session.destroy());
  const stream = session.request({
    ':method': 'POST',
    ':path': `/inference.GRPCInferenceService/${name}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => {});
  const ended = new Promise<{ code: number; text: string; headers: Record<string, unknown> }>((resolve) => {
    let all: Record<string, unknown> = {};
    const take = (more: object) => {
      all = { ...all, ...more };
    };
    stream.on('response', take).on('trailers', take).resume();
    stream.on('end', () => stream.close()); // the answer may come before all of the message is sent
    stream.on('close', () =>
      resolve({ code: Number(all['grpc-status']), text: decodeURI(String(all['grpc-message'])), headers: all }),
    );
  });
  return { session, stream, ended };
}

/** A message as it is sent: before it whether it is compressed, and its length. */
export function framed(message: Uint8Array, { isCompressed = false, length = message.length } = {}): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(isCompressed ? 1 : 0);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}

export const encoded = (message: object): Buffer => OIP.ModelInfer?.requestSerialize(message) as Buffer;
