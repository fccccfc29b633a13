/** Clients that watch /live: one sample a second, made once and sent to all of them as server-sent events. */
import { PassThrough } from 'node:stream';
import type { z } from 'zod';
import { DimmerError } from '../errors.js';
import type { Live } from '../telemetry/live.js';
import type { liveHello, liveSample } from './schemas.js';

/** Time between samples: long enough for meaningful means, short enough to show a burst. */
export const EVERY_MS = 1000;
/** Upper bound of watching clients; each costs a connection. For more people there are dashboards made of /metrics. */
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

  /** queued: returns how many admitted pictures are not running now. */
  constructor(live: Live, queued: () => number, max = MAX_WATCHERS) {
    this.#live = live;
    this.#queued = queued;
    this.#max = max;
  }

  get size(): number {
    return this.#all.size;
  }

  /**
   * Adds a client; returns the stream of events to send, until `leave` is called with it. Raises DimmerError
   * overloaded.
   */
  join(hello: Hello): PassThrough {
    if (this.#all.size >= this.#max) {
      throw new DimmerError('overloaded', {
        detail: `${this.#all.size} clients are watching /live already`,
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

  /** Ends all streams; called when the service ends. */
  close(): void {
    for (const stream of [...this.#all]) this.leave(stream);
  }

  /** Makes the sample of the last second and sends it. */
  tell(): void {
    this.#count += 1;
    const sample: Sample = { second: this.#count, queued: this.#queued(), ...copy(this.#live.take()) };
    const text = event('sample', sample);
    // A client that does not read loses samples, so that unread samples do not fill the memory.
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

/** Copies the array, because the schema's type is not read-only. */
const copy = ({ instances, ...sums }: ReturnType<Live['take']>) => ({ ...sums, instances: [...instances] });
