/** Commands as they are typed, with what they write; and a service whose answers are known. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { run } from '../../src/cli/program.js';
import type { Model } from '../../src/cli/service.js';
import type { Terminal } from '../../src/cli/terminal.js';

export interface Said {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** args: a command line without `dimmer`; watched: whether stderr is a terminal. */
export async function dimmer(
  args: readonly string[],
  environment: Record<string, string> = {},
  input: Buffer = Buffer.alloc(0),
  watched = false,
): Promise<Said> {
  let [out, err] = ['', ''];
  const terminal: Terminal = {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    environment,
    watched,
    input: async () => input,
  };
  const status = await run(args, terminal);
  return { status, out, err };
}

/** The one document of --json. */
export const documentOf = ({ out }: Said): unknown => JSON.parse(out);

const instanceInfo = (
  id: string,
  p: number,
  r: number,
  share: number,
  accuracy: number,
): Model['instances'][number] => ({
  id,
  p,
  r,
  precision: 'float32',
  flops: share * 1000,
  macs: share * 500,
  share,
  top1: accuracy,
  interval: [accuracy, accuracy],
  accuracy,
  top5: 1,
  correct: accuracy * 100,
  n: 100,
  served: true,
  resident: true,
  frontier: true,
  latencyMs: { '1': 4 * share, '8': 20 * share },
});

export const FAKE_MODEL: Model = {
  name: 'pets',
  version: '0123456789ab',
  description: 'cats and dogs',
  architecture: 'none',
  default: true,
  input: { height: 8, width: 8 },
  device: 'cpu',
  weights: { shared: false },
  measuredOn: { dataset: 'pets', part: 'test', scope: 'all', runtime: 'none' },
  license: 'Apache-2.0',
  source: 'none',
  labels: ['cat', 'dog'],
  instances: [instanceInfo('p01-r500', 1, 0.5, 0.25, 0.8), instanceInfo('full', 0, 1, 1, 0.9)],
};

/** A whole answer by one of its instances, whose first label is cat. */
export const fakeAnswer = (id: 'full' | 'p01-r500', met = true) => ({
  model: FAKE_MODEL.name,
  modelVersion: FAKE_MODEL.version,
  budget: { latency: 10_000, strict: true, met },
  results: [
    {
      predictions: [{ label: 'cat', index: 0, probability: 0.9 }],
      model_instance: id === 'full' ? { id, p: 0, r: 1 } : { id, p: 1, r: 0.5 },
      reason: 'most accurate in time within 10000 ms',
      cost: id === 'full' ? { flops: 1000, share: 1 } : { flops: 250, share: 0.25 },
      batchSize: 1,
      timing: { decodeMs: 1, queueMs: 1, inferenceMs: 2, totalMs: id === 'full' ? 5 : 3, predictedMs: 5 },
    },
  ],
});

export const fakeProblem = (code: string, status: number) => ({
  type: `urn:dimmer:problem:${code}`,
  title: `title of ${code}`,
  status,
  detail: `detail of ${code}`,
  expected: `expected of ${code}`,
  action: `action of ${code}`,
});

export function send(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** A service that has FAKE_MODEL; classify: answers a whole request, n counts them. Returns its address. */
export async function fakeService(
  t: Test,
  classify: (request: IncomingMessage, body: Buffer, response: ServerResponse, n: number) => void,
): Promise<string> {
  let n = 0;
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    if (request.url === '/models') send(response, 200, { models: [FAKE_MODEL] });
    else if (request.url === '/healthz') send(response, 200, { status: 'alive' });
    else classify(request, body, response, n++);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
