/** Bodies of requests while they arrive and until they are used: what they hold, how fast they come, when one is given up. */
import type { IncomingMessage } from 'node:http';
import type { Config } from '../config.js';
import { DimmerError } from '../errors.js';
import type { Clock } from '../scheduler/clock.js';

/** How often uploads are looked at: the resolution of the times below. */
const CHECK_MS = 250;
/** A rate is judged over so long: shorter ones would refuse clients for a hiccup of the network. */
const RATE_MS = 5_000;
/** While draining, an upload that brings nothing for so long is not waited for. */
const DRAINING_STALL_MS = 500;
/** Chunks smaller than this are gathered: each kept as it comes would cost a hundred bytes and more besides its own. */
const BLOCK_BYTES = 64 * 1024;

/** A body that has wholly arrived. */
export interface Body {
  readonly bytes: Buffer;
  /** When its last byte was read, in the clock's ms. */
  readonly readMs: number;
  /** Lets its bytes go and stops counting them; may be called again. */
  release(): void;
}

/** The client closed the connection before its answer; there is nobody to tell. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

export type UploadLimits = Pick<Config, 'MAX_WAITING_BYTES' | 'REQUEST_TIMEOUT_MS' | 'MIN_UPLOAD_BYTES_PER_S'>;

/** What has come of one body. */
class Upload {
  readonly startMs: number;
  readonly fail: (error: Error) => void;
  bytes = 0;
  lastByteMs: number;
  /** At the last look at its rate. */
  marked = { atMs: 0, bytes: 0 };
  #blocks: Buffer[] = [];
  #block: Buffer | undefined;
  #filled = 0;

  constructor(nowMs: number, fail: (error: Error) => void) {
    this.startMs = this.lastByteMs = this.marked.atMs = nowMs;
    this.fail = fail;
  }

  add(chunk: Buffer, nowMs: number): void {
    this.bytes += chunk.length;
    this.lastByteMs = nowMs;
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

  /** All of it in one piece; the upload holds nothing afterwards. */
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
  readonly #active = new Set<Upload>();
  #timer: NodeJS.Timeout | undefined;
  #heldBytes = 0;

  constructor(limits: UploadLimits, clock: Clock, isDraining: () => boolean) {
    this.#limits = limits;
    this.#clock = clock;
    this.#isDraining = isDraining;
  }

  /** Bytes that have arrived and are not yet released. What a client announces and does not send is not held. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Reads a body of at most so many bytes. Raises DimmerError image-too-large, request-timeout (too slow, as a whole or for
   * a while), invalid-request (what is no HTTP), overloaded (no memory for it) or draining; ClientGone if the client breaks off.
   */
  read(request: IncomingMessage, mostBytes: number): Promise<Body> {
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
      let released = false;
      const release = () => {
        if (!released) this.#heldBytes -= upload.bytes;
        released = true;
      };
      const take = (chunk: Buffer) => {
        upload.add(chunk, this.#clock.now());
        this.#heldBytes += chunk.length;
        if (upload.bytes > mostBytes) end(bodyTooLarge(mostBytes));
        else if (this.#heldBytes > this.#limits.MAX_WAITING_BYTES) this.#makeRoom();
      };
      const whole = () => {
        end();
        const body = {
          bytes: upload.take(),
          readMs: this.#clock.now(),
          release: () => {
            release();
            body.bytes = Buffer.alloc(0); // what is not counted is not kept
          },
        };
        resolve(body);
      };
      const brokenOff = () => end(new ClientGone('the client closed the connection before its body had arrived'));
      // What the parser finds wrong with a body is told as a DimmerError (broken.ts).
      const broken = (error: Error) => (error instanceof DimmerError ? end(error) : brokenOff());
      this.#active.add(upload);
      if (request.destroyed) return brokenOff();
      request.on('data', take).once('end', whole).once('close', brokenOff).once('error', broken);
      this.#timer ??= setInterval(() => this.check(), CHECK_MS).unref();
    });
  }

  /** Gives up uploads that are too slow. Called on a timer while there are any. */
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
        if (perS < MIN_UPLOAD_BYTES_PER_S) upload.fail(tooSlow(perS, MIN_UPLOAD_BYTES_PER_S));
        else upload.marked = { atMs: nowMs, bytes: upload.bytes };
      }
    }
  }

  /**
   * Of the uploads that hold at least an equal share, the one that has kept most memory from others for longest gives way,
   * so that slow clients cannot refuse everybody: a quick one has hardly been there, and a small one would make no room.
   */
  #makeRoom(): void {
    const nowMs = this.#clock.now();
    while (this.#heldBytes > this.#limits.MAX_WAITING_BYTES && this.#active.size > 0) {
      const all = [...this.#active];
      const share = all.reduce((sum, u) => sum + u.bytes, 0) / all.length;
      const taken = (u: Upload) => u.bytes * (nowMs - u.startMs);
      const worst = all.filter((u) => u.bytes >= share).reduce((a, b) => (taken(b) >= taken(a) ? b : a));
      worst.fail(noMemory(this.#limits.MAX_WAITING_BYTES));
    }
  }
}

function bodyTooLarge(most: number): DimmerError {
  return new DimmerError('image-too-large', {
    detail: `the body has more than ${most} bytes`,
    expected: `at most ${most} bytes (MAX_IMAGE_BYTES for a picture, MAX_REQUEST_BYTES for a form)`,
    action: 'make the pictures smaller, or send them in several requests',
  });
}

function tooLate(ms: number): DimmerError {
  return new DimmerError('request-timeout', {
    detail: 'the request did not arrive in time',
    expected: `the whole request within ${ms} ms (REQUEST_TIMEOUT_MS)`,
    action: 'send it again over a faster connection, or a smaller picture',
  });
}

function tooSlow(bytesPerS: number, least: number): DimmerError {
  return new DimmerError('request-timeout', {
    detail: `the request arrived at ${Math.round(bytesPerS)} bytes a second`,
    expected: `at least ${least} bytes a second (MIN_UPLOAD_BYTES_PER_S), over ${RATE_MS / 1000} s`,
    action: 'send it again over a faster connection',
  });
}

function noMemory(limit: number): DimmerError {
  return new DimmerError('overloaded', {
    detail: `the bodies of requests have passed ${limit} bytes (MAX_WAITING_BYTES), and this one took most for longest`,
    expected: 'room for the whole body',
    action: 'try again after the time in Retry-After, faster or with smaller pictures',
    retryAfterS: 1,
  });
}

function stalledInDraining(): DimmerError {
  return new DimmerError('draining', {
    detail: 'the service is shutting down, and no more of this request arrived',
    expected: 'a replica that stays',
    action: 'send the request again, over a new connection',
    retryAfterS: 1,
  });
}
