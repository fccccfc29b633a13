/** Reads the bodies of requests within limits: of size, of time and rate, and of memory for all bodies together. */
import type { Readable } from 'node:stream';
import type { Config } from '../config.js';
import { DimmerError } from '../errors.js';
import type { Clock } from '../scheduler/clock.js';
import { bodyTooLarge, noMemory, stalledInDraining, tinyChunks, tooLate, tooSlow } from './upload-refusals.js';

/** How often uploads are checked: the resolution of the times below. */
const CHECK_MS = 250;
/** Time over which a rate is measured; in a shorter time a short stall of the network would look like a slow client. */
const RATE_MS = 5_000;
/** While draining, an upload is refused when no byte has arrived for this time. */
const DRAINING_STALL_MS = 500;
/** Small chunks are copied together into blocks of this size: as a buffer of its own each would take 100 bytes more. */
const BLOCK_BYTES = 64 * 1024;
/** What a chunk takes beside its bytes, where somebody else keeps chunks as they come. */
const CHUNK_BYTES = 100;
/** Such chunks may take this much more than their bytes: room for ten thousand small ones, as of a slow network. */
const MOST_OVERHEAD = 1024 * 1024;

/** A body that has arrived completely. */
export interface Body {
  readonly bytes: Buffer;
  /** When the last byte of the body was read, in the clock's ms. */
  readonly readMs: number;
  /** Drops the bytes and counts this number of bytes as held instead: those of what was made of the body. */
  becomes(bytes: number): void;
  /** Drops the bytes and no longer counts them as held; may be called several times. */
  release(): void;
}

/** A body that somebody else reads. */
export interface Watched {
  /** When its last byte up to now was read, in the clock's ms. */
  readonly readMs: number;
  /** Counts this number of bytes as held instead: those of what was made of the body. */
  becomes(bytes: number): void;
  /** No longer counts its bytes as held; may be called several times. */
  release(): void;
}

/** The client closed the connection before its answer, so that no answer can be sent. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

export type UploadLimits = Pick<Config, 'MAX_WAITING_BYTES' | 'REQUEST_TIMEOUT_MS' | 'MIN_UPLOAD_BYTES_PER_S'>;

/** A body that is arriving, and when its bytes came. */
class Arrival {
  readonly startMs: number;
  readonly fail: (error: Error) => void;
  bytes = 0;
  lastByteMs: number;
  /** Time and bytes at the last check of the rate. */
  marked = { atMs: 0, bytes: 0 };

  constructor(nowMs: number, fail: (error: Error) => void) {
    this.startMs = this.lastByteMs = this.marked.atMs = nowMs;
    this.fail = fail;
  }

  add(chunk: Buffer, nowMs: number): void {
    this.bytes += chunk.length;
    this.lastByteMs = nowMs;
  }
}

/** A body that is arriving, with its bytes. */
class Upload extends Arrival {
  #blocks: Buffer[] = [];
  #block: Buffer | undefined;
  #filled = 0;

  override add(chunk: Buffer, nowMs: number): void {
    super.add(chunk, nowMs);
    if (chunk.length >= BLOCK_BYTES / 4) {
      this.#closeBlock();
      this.#blocks.push(chunk);
      return;
    }
    for (let from = 0; from < chunk.length; ) {
      this.#block ??= Buffer.allocUnsafeSlow(BLOCK_BYTES);
      const copied = chunk.copy(this.#block, this.#filled, from);
      from += copied;
      this.#filled += copied;
      if (this.#filled === BLOCK_BYTES) {
        this.#blocks.push(this.#block);
        this.#block = undefined;
        this.#filled = 0;
      }
    }
  }

  /** The whole body as one buffer; afterwards the upload holds no bytes. */
  take(): Buffer {
    this.#closeBlock();
    const blocks = this.#blocks;
    this.#blocks = [];
    return blocks.length === 1 ? (blocks[0] as Buffer) : Buffer.concat(blocks);
  }

  #closeBlock(): void {
    if (this.#block && this.#filled > 0) this.#blocks.push(Buffer.from(this.#block.subarray(0, this.#filled)));
    this.#filled = 0;
  }
}

export class Uploads {
  readonly #limits: UploadLimits;
  readonly #clock: Clock;
  readonly #isDraining: () => boolean;
  readonly #active = new Set<Arrival>();
  #timer: NodeJS.Timeout | undefined;
  #heldBytes = 0;

  constructor(limits: UploadLimits, clock: Clock, isDraining: () => boolean) {
    this.#limits = limits;
    this.#clock = clock;
    this.#isDraining = isDraining;
  }

  /** Bytes that have arrived and are not released yet. Announced bytes (Content-Length) do not count. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Reads the body of a request, or what it is unpacked to. Raises DimmerError image-too-large, request-timeout (as a
   * whole, or its rate is too low), invalid-request (not valid HTTP), overloaded (no memory left) or draining;
   * ClientGone if the client closes the connection. tooLarge: makes the error for more than mostBytes.
   */
  read(request: Readable, mostBytes: number, tooLarge = bodyTooLarge): Promise<Body> {
    return new Promise((resolve, reject) => {
      const end = (error?: Error) => {
        request.off('data', take).off('end', whole).off('close', brokenOff);
        this.#active.delete(upload);
        if (error) {
          release();
          upload.take();
          reject(error);
        }
      };
      const upload = new Upload(this.#clock.now(), end);
      const { count, release } = this.#hold();
      const take = (chunk: Buffer) => {
        upload.add(chunk, this.#clock.now());
        count(upload.bytes);
        if (upload.bytes > mostBytes) end(tooLarge(mostBytes));
        else if (this.#heldBytes > this.#limits.MAX_WAITING_BYTES) this.#makeRoom();
      };
      const whole = () => {
        end();
        const body = {
          bytes: upload.take(),
          readMs: this.#clock.now(),
          becomes: (bytes: number) => {
            count(bytes);
            body.bytes = Buffer.alloc(0); // as in release
          },
          release: () => {
            release();
            body.bytes = Buffer.alloc(0); // frees the bytes even while `body` is still referenced
          },
        };
        resolve(body);
      };
      const brokenOff = () => end(new ClientGone('the client closed the connection before its body had arrived'));
      // broken.ts emits a DimmerError here when Node's parser refuses the body.
      const broken = (error: Error) => (error instanceof DimmerError ? end(error) : brokenOff());
      this.#begin(upload);
      if (request.destroyed) return brokenOff();
      request.on('data', take).once('end', whole).once('close', brokenOff).once('error', broken);
    });
  }

  /**
   * Watches a body that somebody else reads and keeps: counts its bytes as held until `release`, and calls `fail` once
   * with a DimmerError, as `read` raises it, if the body has to be refused. It counts bytes as they arrive; `body` has
   * to be paused, so that this listener is there before the first one.
   */
  watch(body: Readable, mostBytes: number, fail: (error: DimmerError) => void): Watched {
    const { count, release } = this.#hold();
    const stop = () => {
      body.off('data', take).off('end', stop).off('close', stop);
      this.#active.delete(arrival);
    };
    let chunks = 0;
    const arrival = new Arrival(this.#clock.now(), (error) => {
      stop();
      release();
      fail(error as DimmerError);
    });
    const take = (chunk: Buffer) => {
      arrival.add(chunk, this.#clock.now());
      chunks += 1;
      const overhead = chunks * CHUNK_BYTES;
      count(arrival.bytes + overhead);
      if (arrival.bytes > mostBytes) arrival.fail(bodyTooLarge(mostBytes));
      else if (overhead > arrival.bytes + MOST_OVERHEAD) arrival.fail(tinyChunks(arrival.bytes / chunks));
      else if (this.#heldBytes > this.#limits.MAX_WAITING_BYTES) this.#makeRoom();
    };
    this.#begin(arrival);
    // Before the listeners of whoever reads the body, so that it gets no byte of a body that is refused.
    body.prependListener('data', take).once('end', stop).once('close', stop);
    return {
      get readMs() {
        return arrival.lastByteMs;
      },
      becomes: count,
      release: () => {
        stop();
        release();
      },
    };
  }

  /** Counts bytes as held, in place of those counted before, until they are released. */
  #hold(): { readonly count: (bytes: number) => void; readonly release: () => void } {
    let counted = 0;
    let released = false;
    const count = (bytes: number) => {
      if (released) return;
      this.#heldBytes += bytes - counted;
      counted = bytes;
    };
    const release = () => {
      count(0);
      released = true;
    };
    return { count, release };
  }

  #begin(arrival: Arrival): void {
    this.#active.add(arrival);
    this.#timer ??= setInterval(() => this.check(), CHECK_MS).unref();
  }

  /** Refuses uploads that are too slow. A timer calls this while there are uploads. */
  check(): void {
    if (this.#active.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    const { REQUEST_TIMEOUT_MS, MIN_UPLOAD_BYTES_PER_S } = this.#limits;
    const nowMs = this.#clock.now();
    for (const upload of this.#active) {
      if (this.#isDraining() && nowMs - upload.lastByteMs >= DRAINING_STALL_MS) upload.fail(stalledInDraining());
      else if (nowMs - upload.startMs >= REQUEST_TIMEOUT_MS) upload.fail(tooLate(REQUEST_TIMEOUT_MS));
      else if (nowMs - upload.marked.atMs >= RATE_MS) {
        const perS = ((upload.bytes - upload.marked.bytes) / (nowMs - upload.marked.atMs)) * 1000;
        if (perS < MIN_UPLOAD_BYTES_PER_S) upload.fail(tooSlow(perS, MIN_UPLOAD_BYTES_PER_S, RATE_MS));
        else upload.marked = { atMs: nowMs, bytes: upload.bytes };
      }
    }
  }

  /**
   * Refuses uploads until the bodies held are within MAX_WAITING_BYTES. The first to go is the one with the largest
   * product of bytes and time, among those that hold at least the mean of all: this hits slow clients with large
   * bodies, not quick ones, and not small ones, whose end would free little.
   */
  #makeRoom(): void {
    const nowMs = this.#clock.now();
    while (this.#heldBytes > this.#limits.MAX_WAITING_BYTES && this.#active.size > 0) {
      const all = [...this.#active];
      const share = all.reduce((sum, u) => sum + u.bytes, 0) / all.length;
      const taken = (u: Arrival) => u.bytes * (nowMs - u.startMs);
      const worst = all.filter((u) => u.bytes >= share).reduce((a, b) => (taken(b) >= taken(a) ? b : a));
      worst.fail(noMemory(this.#limits.MAX_WAITING_BYTES));
    }
  }
}
