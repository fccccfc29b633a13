/** Sends requests as bytes, and reads answers as bytes. */
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** Splits received text into the first complete answer and the rest; undefined if no answer is complete yet. */
function cut(text: string, hasBody: boolean): [Answer, string] | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [status = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = Object.fromEntries(lines.map((l) => [l.split(':')[0]?.toLowerCase(), l.replace(/^[^:]*: ?/, '')]));
  const length = hasBody ? Number(headers['content-length'] ?? 0) : 0;
  const rest = text.slice(end + 4);
  if (rest.length < length) return undefined;
  return [{ status: Number(status.split(' ')[1]), headers, body: rest.slice(0, length) }, rest.slice(length)];
}

export interface Conversation {
  readonly answers: Answer[];
  /** Text received after the last complete answer. */
  readonly rest: string;
  readonly closed: boolean;
}

/** Opens a connection; an error only ends it. */
export function open(url: string): Socket {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true });
  return socket.on('error', () => {});
}

/**
 * Sends these bytes and collects answers until there are `most` of them, or the server closes. half: ends its own side.
 */
export function converse(
  url: string,
  parts: readonly (string | Buffer)[],
  { most = Number.POSITIVE_INFINITY, head = false, pauseMs = 0, half = false } = {},
): Promise<Conversation> {
  return new Promise((resolve) => {
    const socket = open(url);
    const answers: Answer[] = [];
    let rest = '';
    const done = (closed: boolean) => {
      socket.destroy();
      resolve({ answers, rest, closed });
    };
    socket.on('data', (data) => {
      rest += data.toString('latin1');
      for (let next = cut(rest, !head); next; next = cut(rest, !head)) {
        answers.push(next[0]);
        rest = next[1];
      }
      if (answers.length >= most) done(false);
    });
    socket.on('end', () => done(true)).on('close', () => done(true));
    void (async () => {
      for (const part of parts) {
        socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part);
        if (pauseMs) await new Promise((next) => setTimeout(next, pauseMs));
      }
      if (half) socket.end();
    })();
  });
}
