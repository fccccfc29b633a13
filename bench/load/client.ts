/** One client of the service: its pictures, its connections, and how it reads answers. */
import { readFileSync } from 'node:fs';
import { Pool } from 'undici';
import { PROTOCOLS, readPeer } from '../peers/protocols.js';
import type { Answer, Job } from './job.js';

/** More than are ever in flight, so that no request waits for a connection. */
export const CONNECTIONS = 1024;
/** Opened before the open loop, so that its first burst does not wait for handshakes. */
const PRIMED = 128;
const PROBLEM = 'urn:dimmer:problem:';

/** The parts of an answer's JSON that are read here; see src/http/schemas.ts. */
interface Body {
  type?: string;
  budget?: { met: boolean };
  results?: {
    predictions: { index: number }[];
    model_instance: { id: string };
    cost: { share: number };
    timing: { totalMs: number };
  }[];
}

export type Target = Pick<Job, 'url' | 'path' | 'headers' | 'pictures' | 'timeoutMs' | 'peer'>;

export class Client {
  readonly #job: Target;
  readonly #pool: Pool;
  readonly #bodies: readonly Buffer[];
  #inFlight = 0;
  #mostInFlight = 0;

  constructor(job: Target) {
    this.#job = job;
    const { peer } = job;
    const bodyOf = (picture: Buffer) => (peer === undefined ? picture : PROTOCOLS[peer].encode(picture));
    this.#bodies = job.pictures.map(({ file }) => bodyOf(readFileSync(file)));
    this.#pool = new Pool(job.url, {
      connections: CONNECTIONS,
      pipelining: 1,
      keepAliveTimeout: 60_000,
      headersTimeout: job.timeoutMs,
      bodyTimeout: job.timeoutMs,
    });
  }

  get mostInFlight(): number {
    return this.#mostInFlight;
  }

  body(index: number): Buffer {
    return this.#bodies[index % this.#bodies.length] as Buffer;
  }

  /** Opens connections and leaves them idle. */
  async prime(): Promise<void> {
    const ping = async () => (await this.#pool.request({ method: 'GET', path: '/healthz' })).body.dump();
    await Promise.all(Array.from({ length: PRIMED }, ping));
  }

  /** Never rejects: what goes wrong is an answer with status 0. */
  async post(index: number, headers = this.#job.headers): Promise<Answer> {
    const startMs = performance.now();
    const { path, pictures, peer } = this.#job;
    this.#inFlight += 1;
    this.#mostInFlight = Math.max(this.#mostInFlight, this.#inFlight);
    try {
      const response = await this.#pool.request({ method: 'POST', path, headers, body: this.body(index) });
      const headMs = performance.now() - startMs;
      const text = await response.body.text();
      const latencyMs = performance.now() - startMs;
      const label = pictures[index % pictures.length]?.label;
      const answer = peer === undefined ? read(text, label) : readPeer(peer, text, label);
      return { status: response.statusCode, latencyMs, headMs, ...answer };
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

/** text: the body of an answer to one picture. */
export function read(text: string, label: number | undefined): Omit<Answer, 'status' | 'latencyMs'> {
  const { type, budget, results } = JSON.parse(text) as Body;
  const result = results?.[0];
  if (!result || !budget) return { reason: type?.replace(PROBLEM, '') ?? 'unknown' };
  return {
    reason: 'ok',
    instance: result.model_instance.id,
    share: result.cost.share,
    met: budget.met,
    totalMs: result.timing.totalMs,
    correct: result.predictions[0]?.index === label,
  };
}
