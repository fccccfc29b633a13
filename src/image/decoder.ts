/**
 * Decoding beside the event loop: one thread hands pictures to sharp, libvips' threads decode them.
 *
 * `await sharp()` blocks nobody by itself, but who calls it wakes libuv's threads, and glibc's condition variables make
 * the waker wait until those it woke before have run. On the main thread that was 3 to 8 ms at a time whenever the CPUs
 * were busy; and its garbage collector had to trace and free every upload.
 */
import { Worker } from 'node:worker_threads';
import { DimmerError, type ErrorCode, type ErrorFacts } from '../errors.js';
import type { ResizeRule } from '../family/instance.js';

export type ToDecoder =
  | { readonly type: 'decode'; readonly id: number; readonly bytes: Uint8Array; readonly rule: ResizeRule }
  | { readonly type: 'warm'; readonly id: number; readonly rule: ResizeRule }
  | { readonly type: 'close' };

/** Classes do not survive the border between threads, so errors cross it as their parts. */
export type FromDecoder =
  | { readonly id: number; readonly pixels: Uint8Array }
  | { readonly id: number; readonly code: ErrorCode; readonly facts: ErrorFacts }
  | { readonly id: number; readonly unexpected: string };

export interface DecoderOptions {
  readonly maxPixels: number;
}

interface Pending {
  resolve(pixels: Uint8Array): void;
  reject(error: Error): void;
}

/** Compiled, the thread side is JavaScript; under a TypeScript loader it is not. */
const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

export class Decoder {
  readonly #options: DecoderOptions;
  readonly #worker: URL;
  readonly #pending = new Map<number, Pending>();
  #thread: Worker | undefined;
  #ids = 0;

  /** worker: the thread side; tests put another in its place. */
  constructor(options: DecoderOptions, worker = WORKER) {
    this.#options = options;
    this.#worker = worker;
  }

  /**
   * As `decode` of decode.ts, with the same errors. `bytes` are handed over, if they can be: then they are empty afterwards.
   * Rejects with Error if the thread dies; the next picture gets a new one.
   */
  decode(bytes: Uint8Array, rule: ResizeRule): Promise<Uint8Array> {
    // A small one lies in Node's pool, which cannot be handed over. Not slice(): a Buffer's is no copy.
    const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
    return this.#ask((id) => ({ type: 'decode', id, bytes: own, rule }), [own.buffer as ArrayBuffer]);
  }

  /** Decodes one generated picture, as the first decode loads libvips. */
  async warm(rule: ResizeRule): Promise<void> {
    await this.#ask((id) => ({ type: 'warm', id, rule }));
  }

  /** Ends the thread; nothing may be under way. By message: terminate() under native code aborts the process. */
  async close(): Promise<void> {
    const thread = this.#thread;
    if (!thread) return;
    const exited = new Promise((resolve) => thread.once('exit', resolve));
    thread.postMessage({ type: 'close' } satisfies ToDecoder);
    await exited;
  }

  #ask(message: (id: number) => ToDecoder, transfer: ArrayBuffer[] = []): Promise<Uint8Array> {
    this.#thread ??= this.#start();
    const thread = this.#thread;
    const id = this.#ids++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      try {
        thread.postMessage(message(id), transfer);
      } catch {
        thread.postMessage(message(id)); // what native code made belongs to it and can only be copied
      }
    });
  }

  #start(): Worker {
    const thread = new Worker(this.#worker, { workerData: this.#options });
    let lastError = 'it ended by itself';
    thread.on('message', (message: FromDecoder) => {
      const pending = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      if ('pixels' in message) pending?.resolve(message.pixels);
      else if ('code' in message) pending?.reject(new DimmerError(message.code, message.facts));
      else pending?.reject(new Error(message.unexpected));
    });
    thread.on('error', (error) => {
      lastError = error.message;
    });
    thread.once('exit', () => {
      this.#thread = undefined;
      const lost = [...this.#pending.values()];
      this.#pending.clear();
      for (const { reject } of lost) reject(new Error(`the decoding thread died: ${lastError}`));
    });
    return thread;
  }
}
