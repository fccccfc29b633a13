/**
 * Messages between two processes over one socket. A message is a prefix with two lengths, a head in JSON, and raw
 * bytes. Node's own IPC channel would copy the bytes several times, which takes 0.5 ms for the pixels of one picture.
 */
import type { Socket } from 'node:net';

/** The prefix: lengths of head and bytes, 32 bits each, little-endian. */
const PREFIX_BYTES = 8;

export class Channel<Head> {
  readonly #socket: Socket;
  readonly #onMessage: (head: Head, bytes: Buffer) => void;
  /** Buffer being filled: first the prefix, then head and bytes together. */
  #part = Buffer.allocUnsafe(PREFIX_BYTES);
  #filled = 0;
  /** Length of the head in bytes; undefined while the prefix is read. */
  #headBytes: number | undefined;

  /** Errors of the socket are ignored: they mean that the other process has ended, which is noticed by its exit. */
  constructor(socket: Socket, onMessage: (head: Head, bytes: Buffer) => void) {
    this.#socket = socket;
    this.#onMessage = onMessage;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => {});
  }

  /** head: plain data for JSON. */
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
      // Not from Node's buffer pool: one long-lived message would keep a whole pool in memory.
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
