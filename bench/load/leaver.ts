/** A client that disconnects early. It writes to a plain socket, because HTTP clients cannot send half of a request. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, read } from '../../src/load/answer.js';
import type { Job, Leaver } from './job.js';

/** Sends a request as the leaver says and disconnects; resolves with the answer received by then. */
export async function leave(job: Job, body: Buffer, { moment, afterMs }: Leaver): Promise<Answer> {
  const startMs = performance.now();
  const { hostname, port } = new URL(job.url);
  const socket = connect(Number(port), hostname);
  let received = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    received += text;
  });
  socket.on('error', () => {}); // the service may close the connection first
  await once(socket, 'connect').catch(() => {});
  if (moment !== 'before') {
    const sent = moment === 'upload' ? body.subarray(0, body.length >> 1) : body;
    socket.write(Buffer.concat([Buffer.from(head(job, body.length)), sent]));
  }
  await sleep(afterMs);
  socket.destroy();
  return { ...answerIn(received), latencyMs: performance.now() - startMs };
}

function head({ path, headers, url }: Job, length: number): string {
  const lines = Object.entries({ Host: new URL(url).host, 'Content-Length': length, ...headers });
  return `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

/** Reads an HTTP/1.1 answer; status 0 if it is not complete. received: the bytes so far. */
export function answerIn(received: string): Omit<Answer, 'latencyMs'> {
  const [start = '', text = ''] = received.split('\r\n\r\n', 2);
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(start)?.[1] ?? 0);
  const length = Number(/^content-length: (\d+)/im.exec(start)?.[1] ?? Number.NaN);
  if (status === 0 || Buffer.byteLength(text) !== length) return { status: 0, reason: 'left' };
  return { status, ...read(text, undefined) };
}
