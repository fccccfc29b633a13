/** Those who watch the service live: one sample a second, made once, sent to all as server-sent events. */
import { PassThrough } from 'node:stream';
import type { z } from 'zod';
import { DimmerError } from '../errors.js';
import type { Live } from '../telemetry/live.js';
import type { liveHello, liveSample } from './schemas.js';

/** Long enough for means that say something, short enough to see a burst. */
export const EVERY_MS = 1000;
/** Each is a connection and a write a second. More people than this look at a dashboard that is made of /metrics. */
export const MAX_WATCHERS = 16;

type Sample = z.infer<typeof liveSample>;
type Hello = z.infer<typeof liveHello>;

const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

export class Watchers {
  readonly #live: Live;
  readonly #queued: () => number;
  readonly #max: number;
  readonly #all = new Set<PassThrough>();
  #timer: NodeJS.Timeout | undefined;
  #count = 0;

  /** queued: pictures admitted and not running, now. */
  constructor(live: Live, queued: () => number, max = MAX_WATCHERS) {
    this.#live = live;
    this.#queued = queued;
    this.#max = max;
  }

  get size(): number {
    return this.#all.size;
  }

  /** What to send to one more, until `leave` is called with it. Raises DimmerError overloaded. */
  join(hello: Hello): PassThrough {
    if (this.#all.size >= this.#max) {
      throw new DimmerError('overloaded', {
        detail: `${this.#all.size} clients watch /live already`,
        expected: `at most ${this.#max} at once`,
        action: 'close another page that shows the load, or read /metrics, which has the same figures',
        retryAfterS: 5,
      });
    }
    const stream = new PassThrough();
    stream.write(event('hello', hello));
    if (this.#all.size === 0) this.#begin();
    this.#all.add(stream);
    return stream;
  }

  leave(stream: PassThrough): void {
    if (!this.#all.delete(stream)) return;
    stream.end();
    if (this.#all.size === 0) this.#end();
  }

  /** Ends all, as the service ends. */
  close(): void {
    for (const stream of [...this.#all]) this.leave(stream);
  }

  /** A second is over. */
  tell(): void {
    this.#count += 1;
    const sample: Sample = { second: this.#count, queued: this.#queued(), ...copy(this.#live.take()) };
    const text = event('sample', sample);
    // One that does not read loses samples; otherwise what it does not read would lie in memory.
    for (const stream of this.#all) if (!stream.writableNeedDrain) stream.write(text);
  }

  #begin(): void {
    this.#live.watch();
    this.#timer = setInterval(() => this.tell(), EVERY_MS).unref();
  }

  #end(): void {
    clearInterval(this.#timer);
    this.#live.unwatch();
  }
}

/** The schema's arrays are not read-only. */
const copy = ({ instances, ...sums }: ReturnType<Live['take']>) => ({ ...sums, instances: [...instances] });
