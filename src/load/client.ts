/** One client of the service: its pictures, its connections, and how it reads answers. */
import { readFileSync } from 'node:fs';
import { Pool } from 'undici';
import { type Answer, read } from './answer.js';

/** More than are ever in flight, so that no request waits for a connection. */
export const CONNECTIONS = 1024;
/** Opened before the open loop, so that its first burst does not wait for handshakes. */
export const PRIMED = 128;

export interface Picture {
  readonly file: string;
  /** The true class, as an index into the family's labels, if known. */
  readonly label?: number | undefined;
}

/** How a server expects a picture in a request, and how its answers are read. */
export interface Format {
  /** picture: a file's bytes. Returns the body of a request. */
  encode(picture: Buffer): Buffer;
  /** text: the body of an answer; label: the true class, if known. */
  read(text: string, label: number | undefined): Omit<Answer, 'status' | 'latencyMs'>;
}

/** The format of POST /classify. */
const CLASSIFY: Format = { encode: (picture) => picture, read };

/** Where requests go, and with what. */
export interface Target {
  /** Scheme, host and port. */
  readonly url: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent in this order, again and again. */
  readonly pictures: readonly Picture[];
  /** A request without an answer after this time has failed. */
  readonly timeoutMs: number;
  /** Set for servers other than dimmer. */
  readonly format?: Format;
}

export class Client {
  readonly #target: Target;
  readonly #format: Format;
  readonly #pool: Pool;
  readonly #bodies: readonly Buffer[];
  #inFlight = 0;
  #mostInFlight = 0;

  /** Raises what the file system says of a picture. */
  constructor(target: Target) {
    this.#target = target;
    const format = target.format ?? CLASSIFY;
    this.#format = format;
    this.#bodies = target.pictures.map(({ file }) => format.encode(readFileSync(file)));
    this.#pool = new Pool(target.url, {
      connections: CONNECTIONS,
      pipelining: 1,
      keepAliveTimeout: 60_000,
      headersTimeout: target.timeoutMs,
      bodyTimeout: target.timeoutMs,
    });
  }

  get mostInFlight(): number {
    return this.#mostInFlight;
  }

  body(index: number): Buffer {
    return this.#bodies[index % this.#bodies.length] as Buffer;
  }

  /** Opens connections and leaves them idle. path: answered at once. */
  async prime(connections = PRIMED, path = '/healthz'): Promise<void> {
    const ping = async () => (await this.#pool.request({ method: 'GET', path })).body.dump();
    await Promise.all(Array.from({ length: connections }, ping));
  }

  /** Never rejects: what goes wrong is an answer with status 0. */
  async post(index: number, headers = this.#target.headers): Promise<Answer> {
    const startMs = performance.now();
    const { path, pictures } = this.#target;
    this.#inFlight += 1;
    this.#mostInFlight = Math.max(this.#mostInFlight, this.#inFlight);
    try {
      const response = await this.#pool.request({ method: 'POST', path, headers, body: this.body(index) });
      const headMs = performance.now() - startMs;
      const text = await response.body.text();
      const latencyMs = performance.now() - startMs;
      const label = pictures[index % pictures.length]?.label;
      return { status: response.statusCode, latencyMs, headMs, ...this.#format.read(text, label) };
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      return { status: 0, latencyMs: performance.now() - startMs, reason: code ?? message };
    } finally {
      this.#inFlight -= 1;
    }
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}
