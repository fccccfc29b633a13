/** The service's side of one decoding process (child.ts is the other side). */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { Channel } from './channel.js';
import { CHANNEL_FD, type HeadFromProcess, type Reply, type ToProcess } from './messages.js';

/** A decoding process, as the pool needs it; tests pass a fake. */
export interface DecodingProcess {
  /** Resolves when the process can decode; rejects if it ends before. */
  readonly ready: Promise<void>;
  /** Resolves when the process has ended, to its exit code, signal or error as text. */
  readonly ended: Promise<string>;
  /** CPU ms that the process had used at its last reply. */
  readonly cpuMs: number;
  /**
   * Sends a message and resolves to the reply; one message at a time. If the process ends before it replies, the reply
   * is `failed`, after `ended` has resolved.
   */
  ask(message: Exclude<ToProcess, { type: 'close' }>): Promise<Reply>;
  /** Gives the process the lowest CPU priority. */
  yieldCpu(): void;
  /** Tells the process to end; it does when it is idle. */
  close(): void;
  /** Kills the process at once. */
  kill(): void;
}

/** The script has the same extension as this file: JavaScript when compiled, TypeScript under a loader. */
const CHILD = new URL(import.meta.url.endsWith('.ts') ? './child.ts' : './child.js', import.meta.url);

/**
 * Environment variables that a decoding process does not get. API keys: hostile input could try to read them. The other
 * two select jemalloc, which suits networks but keeps the memory of large pictures; the system's allocator returns that
 * memory at once and is as fast for one picture at a time.
 */
const NOT_IN_ENVIRONMENT = ['API_KEYS', 'LD_PRELOAD', 'MALLOC_CONF'];

/** Flags of Node that hold for the service only: its heap size, and debugging and profiling of one process. */
const NOT_INHERITED = /^--(initial-old-space-size|inspect|cpu-prof|heap-prof)/;
/** Flags with a script: passed on, each decoding process would run the script again and start further processes. */
const SCRIPT = /^(-e|-p|-pe|--eval|--print|--input-type)\b/;

/** The flags of Node, of those of the service, that a decoding process gets; TypeScript loaders need them. */
export const inherited = (flags: readonly string[]): string[] =>
  flags.some((flag) => SCRIPT.test(flag)) ? [] : flags.filter((flag) => !NOT_INHERITED.test(flag));

export class ChildDecoder implements DecodingProcess {
  readonly ready: Promise<void>;
  readonly ended: Promise<string>;
  cpuMs = 0;
  readonly pid: number | undefined;
  readonly #child: ChildProcess;
  #channel!: Channel<HeadFromProcess>;
  #reply: ((reply: Reply) => void) | undefined;

  constructor() {
    const environment = Object.fromEntries(
      Object.entries(process.env).filter(([key]) => !NOT_IN_ENVIRONMENT.includes(key)),
    );
    this.#child = spawn(process.execPath, [...inherited(process.execArgv), fileURLToPath(CHILD)], {
      // A process decodes one picture at a time, so one libuv thread and one malloc arena suffice.
      env: { ...environment, UV_THREADPOOL_SIZE: '1', MALLOC_ARENA_MAX: '1' },
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    });
    this.pid = this.#child.pid;
    this.ended = new Promise((resolve) => {
      const end = (how: string) => {
        resolve(how);
        // No Promise.race with `ended`: that promise lives long and would keep every reply it was raced with in memory.
        this.#settle({ type: 'failed', message: how });
      };
      this.#child.once('error', (error) => end(error.message)); // it could not be started
      this.#child.once('exit', (code, signal) => end(signal ?? `exit code ${code}`));
    });
    this.ready = new Promise((resolve, reject) => {
      const socket = this.#child.stdio[CHANNEL_FD] as Socket;
      this.#channel = new Channel<HeadFromProcess>(socket, (head, bytes) => {
        this.cpuMs = head.cpuMs;
        if (head.type !== 'ready') return this.#settle(head.type === 'bytes' ? { ...head, bytes } : head);
        this.#setPriority(os.constants.priority.PRIORITY_BELOW_NORMAL);
        resolve();
      });
      void this.ended.then((how) => reject(new Error(`a decoding process cannot start: ${how}`)));
    });
    this.ready.catch(() => {}); // callers that await `ready` still see the error
  }

  ask(message: Exclude<ToProcess, { type: 'close' }>): Promise<Reply> {
    if (this.#reply) throw new Error('a decoding process was asked while it still works');
    return new Promise((resolve) => {
      this.#reply = resolve;
      const { bytes, ...head } = { bytes: undefined, ...message };
      this.#channel.send(head, bytes);
    });
  }

  /** Resolves the promise of `ask`, if one is pending. */
  #settle(reply: Reply): void {
    const settled = this.#reply;
    this.#reply = undefined;
    settled?.(reply);
  }

  yieldCpu(): void {
    this.#setPriority(os.constants.priority.PRIORITY_LOW);
  }

  close(): void {
    this.#channel.send({ type: 'close' });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Sets the priority of every thread of the process: on Linux a priority belongs to a thread. */
  #setPriority(priority: number): void {
    const { pid } = this;
    if (pid === undefined) return;
    for (const id of threadsOf(pid)) {
      try {
        os.setPriority(id, priority);
      } catch {
        // The thread has ended, or its priority may not be changed: decoding works without priorities.
      }
    }
  }
}

function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [pid];
  }
}
