/** Clients that send random requests of several kinds, check the answers, and count what they sent and read. */
import { FormData, Pool } from 'undici';
import type { Random } from '../../src/load/random.js';
import { faultOf, type Kind, kindOf, pick } from './kinds.js';

const TIMEOUT_MS = 60_000;
const CONNECTIONS = 256;
/** Pictures in a form. */
const FORM_PICTURES = 3;
/** A client of kind `leaves` disconnects within this time. */
const LEAVES_WITHIN_MS = 20;

/** Requests to choose from: kind, budget and body are drawn independently. */
export interface Wish {
  /** Path and query. */
  readonly path: string;
  readonly kinds: readonly Kind[];
  readonly budgets: readonly (string | undefined)[];
  readonly bodies: readonly Buffer[];
}

export class Clients {
  /** Number of requests sent, by kind. */
  readonly sent: Record<string, number> = {};
  /** Number of answers read, by `status reason`; without an answer, `left` or `no answer`. */
  readonly read: Record<string, number> = {};
  /** Wrong answers, as messages. */
  readonly wrong: string[] = [];
  readonly #pool: Pool;
  readonly #random: Random;
  readonly #alsoFine: readonly string[];

  /** alsoFine: answers that are right for any request, as in `faultOf`. */
  constructor(url: string, random: Random, alsoFine: readonly string[] = []) {
    this.#pool = new Pool(url, { connections: CONNECTIONS, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS });
    this.#random = random;
    this.#alsoFine = alsoFine;
  }

  /** Sends one request with random kind, budget and picture. Never rejects. */
  async ask({ path, kinds, budgets, bodies }: Wish): Promise<void> {
    const what = kindOf(kinds, this.#random);
    const budget = pick(budgets, this.#random);
    count(this.sent, what.name);
    const leaving = what.name === 'leaves' ? AbortSignal.timeout(Math.ceil(this.#random() * LEAVES_WITHIN_MS)) : null;
    try {
      const { statusCode: status, body } = await this.#pool.request({
        method: 'POST',
        path,
        headers: budget === undefined ? {} : { 'Inference-Budget': budget },
        body: this.#bodyOf(what, bodies),
        signal: leaving,
      });
      const answer = (await body.json()) as { type?: string; results?: unknown[] };
      const code = answer.type?.replace('urn:dimmer:problem:', '') ?? 'ok';
      count(this.read, `${status} ${code}`);
      const fault = faultOf(what, budget, { status, code, results: answer.results?.length }, this.#alsoFine);
      if (fault !== undefined) this.wrong.push(fault);
    } catch (error) {
      count(this.read, leaving ? 'left' : 'no answer');
      if (!leaving) this.wrong.push(`${what.name}: ${(error as Error).message}`);
    }
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  #bodyOf({ name }: Kind, bodies: readonly Buffer[]): Buffer | FormData {
    const picture = pick(bodies, this.#random);
    if (name === 'truncated') return picture.subarray(0, picture.length >> 1);
    if (name === 'text') return Buffer.from('no picture at all');
    if (name !== 'form') return picture;
    const form = new FormData();
    for (let n = 0; n < FORM_PICTURES; n++) form.append('image', new Blob([pick(bodies, this.#random)]));
    return form;
  }
}

function count(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}
