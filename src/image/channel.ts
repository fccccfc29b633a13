/**
 * Messages with bytes between two processes, over one socket: the lengths of both parts, a head in JSON, the bytes as they
 * are. Node's own channel for messages copies the bytes several times on the way, 0.5 ms for the pixels of one picture.
 */
import type { Socket } from 'node:net';

/** Two lengths of 32 bits. */
const PREFIX_BYTES = 8;

export class Channel<Head> {
  readonly #socket: Socket;
  readonly #onMessage: (head: Head, bytes: Buffer) => void;
  /** What is being read: the lengths, then a head and bytes of those lengths. */
  #part = Buffer.allocUnsafe(PREFIX_BYTES);
  #filled = 0;
  /** Of the head; undefined while the lengths are read. */
  #headBytes: number | undefined;

  /** The other side of a socket that breaks has ended, and that is told elsewhere. */
  constructor(socket: Socket, onMessage: (head: Head, bytes: Buffer) => void) {
    this.#socket = socket;
    this.#onMessage = onMessage;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => {});
  }

  send(head: unknown, bytes: Uint8Array = new Uint8Array()): void {
    const json = Buffer.from(JSON.stringify(head));
    const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
    prefix.writeUInt32LE(json.length, 0);
    prefix.writeUInt32LE(bytes.length, 4);
    this.#socket.cork();
    this.#socket.write(prefix);
    this.#socket.write(json);
    if (bytes.length > 0) this.#socket.write(bytes);
    this.#socket.uncork();
  }

  #read(chunk: Buffer): void {
    for (let from = 0; from < chunk.length; ) {
      const copied = chunk.copy(this.#part, this.#filled, from);
      from += copied;
      this.#filled += copied;
      if (this.#filled === this.#part.length) this.#partIsWhole();
    }
  }

  #partIsWhole(): void {
    const part = this.#part;
    this.#filled = 0;
    if (this.#headBytes === undefined) {
      this.#headBytes = part.readUInt32LE(0);
      // Not from Node's pool: what is received may live long.
      this.#part = Buffer.allocUnsafeSlow(this.#headBytes + part.readUInt32LE(4));
      return;
    }
    const head = JSON.parse(part.toString('utf8', 0, this.#headBytes)) as Head;
    const bytes = part.subarray(this.#headBytes);
    this.#headBytes = undefined;
    this.#part = Buffer.allocUnsafe(PREFIX_BYTES);
    this.#onMessage(head, bytes);
  }
}
