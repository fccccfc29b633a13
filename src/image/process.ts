/** The service's side of one decoding process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { Channel } from './channel.js';
import { CHANNEL_FD, type HeadFromProcess, type Reply, type ToProcess } from './messages.js';

/** What the pool needs of a process; tests put another in its place. */
export interface DecodingProcess {
  /** Resolves when it takes pictures; rejects if it ends before. */
  readonly ready: Promise<void>;
  /** Resolves when it has ended, with what it says of that. */
  readonly ended: Promise<string>;
  /** ms of one CPU that it has used, as of its last reply. */
  readonly cpuMs: number;
  /** One at a time. If the process ends before it replies: `failed`, after `ended` has resolved. */
  ask(message: Exclude<ToProcess, { type: 'close' }>): Promise<Reply>;
  /** Lets everything else on the CPUs go first. */
  yieldCpu(): void;
  /** Ends it when it is idle. */
  close(): void;
  /** Ends it at once, whatever it does. */
  kill(): void;
}

/** Compiled, the other side is JavaScript; under a TypeScript loader it is not. */
const CHILD = new URL(import.meta.url.endsWith('.ts') ? './child.ts' : './child.js', import.meta.url);

/**
 * Keys of clients are of no use to a process with hostile input in it. And the allocator that suits networks keeps what
 * large pictures took: the system's own gives it back at once, and is as fast for one picture at a time.
 */
const NOT_IN_ENVIRONMENT = ['API_KEYS', 'LD_PRELOAD', 'MALLOC_CONF'];

/** Node sizes its heap for the service, not for a process that holds one picture. */
const NOT_INHERITED = /^--(initial-old-space-size|inspect|cpu-prof|heap-prof)/;
/** A script on the command line would run again in each process, and start others without end. */
const SCRIPT = /^(-e|-p|-pe|--eval|--print|--input-type)\b/;

/** Node's own flags for a decoding process, of those of the service: loaders above all. */
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
      // One picture at a time needs one thread of libuv's, and one heap for all threads.
      env: { ...environment, UV_THREADPOOL_SIZE: '1', MALLOC_ARENA_MAX: '1' },
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    });
    this.pid = this.#child.pid;
    this.ended = new Promise((resolve) => {
      const end = (how: string) => {
        resolve(how);
        // Not by racing with `ended`: a promise that lives so long would keep every reply that it was raced with.
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
    this.ready.catch(() => {}); // whoever waits for it hears of it
  }

  ask(message: Exclude<ToProcess, { type: 'close' }>): Promise<Reply> {
    if (this.#reply) throw new Error('a decoding process was asked while it still works');
    return new Promise((resolve) => {
      this.#reply = resolve;
      const { bytes, ...head } = { bytes: undefined, ...message };
      this.#channel.send(head, bytes);
    });
  }

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

  /** Of every thread it has: on Linux a priority belongs to a thread. */
  #setPriority(priority: number): void {
    const { pid } = this;
    if (pid === undefined) return;
    for (const id of threadsOf(pid)) {
      try {
        os.setPriority(id, priority);
      } catch {
        // It has ended meanwhile, or may not be changed: nothing depends on it.
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
