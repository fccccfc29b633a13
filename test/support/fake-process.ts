import type { Reply, ToProcess } from '../../src/image/messages.js';
import type { DecodingProcess } from '../../src/image/process.js';

/** A fake decoding process, which replies and ends when the test says so. */
export class FakeProcess implements DecodingProcess {
  readonly ready: Promise<void>;
  readonly ended: Promise<string>;
  cpuMs = 0;
  /** The picture it was asked to decode last; undefined when it has replied. */
  asked: ToProcess | undefined;
  killed = false;
  closed = false;
  yields = false;
  end!: (how: string) => void;
  #reply: ((reply: Reply) => void) | undefined;

  /** starts: whether the process becomes ready. */
  constructor(starts = true) {
    this.ended = new Promise((resolve) => {
      this.end = (how) => {
        this.asked = undefined;
        resolve(how);
        this.#reply?.({ type: 'failed', message: how });
      };
    });
    this.ready = starts ? Promise.resolve() : this.ended.then((how) => Promise.reject(new Error(how)));
    this.ready.catch(() => {});
  }

  ask(message: ToProcess): Promise<Reply> {
    if (message.type !== 'decode') return Promise.resolve({ type: 'bytes', bytes: new Uint8Array() });
    this.asked = message;
    return new Promise((resolve) => {
      this.#reply = resolve;
    });
  }

  /** Replies to the last request; default: pixels that equal the bytes of the picture. */
  reply(reply?: Reply): void {
    const { asked } = this;
    this.asked = undefined;
    this.#reply?.(reply ?? { type: 'bytes', bytes: asked?.type === 'decode' ? asked.bytes : new Uint8Array() });
  }

  yieldCpu(): void {
    this.yields = true;
  }

  close(): void {
    this.closed = true;
    this.end('exit code 0');
  }

  kill(): void {
    this.killed = true;
    this.end('SIGKILL');
  }
}
