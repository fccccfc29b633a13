/** Every TCP connection of a server: how many there are, what each may have unanswered, and how they end. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';
import type { Clock } from '../scheduler/clock.js';

/** Unanswered requests on one connection. Browsers do not pipeline; the few clients that do send about ten ahead. */
const MAX_PIPELINED = 16;
/** Requests on one connection, nginx's `keepalive_requests`: what a connection has gathered in memory is given back. */
const MAX_REQUESTS = 1000;
/**
 * Requests that are read and ignored after the last one that is answered; a client that sends more is cut off. One read
 * of 64 KiB has at most 3,600, and those that came with good ones must not cost these their answers.
 */
const MAX_IGNORED = 10_000;
/** How often connections are looked at, and how often while draining, when each must end within about a second. */
const SWEEP_MS = 1000;
const DRAIN_SWEEP_MS = 100;
/** A client that takes nothing of its answer for so long is cut off: nginx's `send_timeout`, and while draining. */
const UNREAD_MS = 60_000;
const DRAIN_UNREAD_MS = 1000;
/** How long the rest of a refused body may come, so that the client can read why: nginx's `lingering_timeout`. */
const REFUSED_BODY_MS = 5000;
/** How long a connection that we have ended is still read, for closing one with unread bytes loses the answer. */
const LINGER_MS = 1000;
const DRAIN_LINGER_MS = 300;

export class Connection {
  readonly socket: Socket;
  /** Responses not wholly handed to the operating system, in the order of their requests. */
  readonly unanswered = new Map<ServerResponse, FastifyReply | undefined>();
  /** The latest request that is answered, and its response. */
  request: IncomingMessage | undefined;
  response: ServerResponse | undefined;
  requests = 0;
  ignored = 0;
  /** `response` is the last one here: it says `Connection: close`, and later requests are ignored. */
  closing = false;
  /** Its bytes are no HTTP; nothing more is read from them. */
  broken = false;
  /** Since when nothing is unanswered, in the clock's ms. */
  idleSinceMs: number;
  /** Called once everything before is answered. */
  whenAnswered: (() => void) | undefined;
  /** Bytes taken by the operating system, and when that last changed. */
  sentBytes = 0;
  sentMs: number;

  constructor(socket: Socket, nowMs: number) {
    this.socket = socket;
    this.idleSinceMs = nowMs;
    this.sentMs = nowMs;
  }

  get idle(): boolean {
    return this.unanswered.size === 0;
  }

  /** The client may still be sending: closing now would reset the connection, and the answer would be lost. */
  get mayStillSend(): boolean {
    return this.broken || this.ignored > 0 || this.request?.complete === false;
  }

  #lingers = false;

  /** Sends what is written, says that no more comes, and closes as soon as the client has had time to read it. */
  end(lingerMs: number, lastBytes?: string): void {
    if (this.#lingers) return;
    this.#lingers = true;
    this.closing = true;
    if (lastBytes === undefined) this.socket.end();
    else this.socket.end(lastBytes);
    this.request?.once('close', () => this.idle && this.socket.destroy());
    setTimeout(() => this.socket.destroy(), lingerMs).unref();
  }
}

export type Admission = 'answer' | 'refuse' | 'ignore';

export class Connections {
  /** What is done with a connection for which there is no place; set by who can write an answer. */
  onTooMany: (connection: Connection) => void = ({ socket }) => socket.destroy();
  readonly #clock: Clock;
  readonly #max: number;
  readonly #idleMs: number;
  readonly #all = new Map<Socket, Connection>();
  /** Those without a request, the longest idle first. */
  readonly #idle = new Set<Connection>();
  #draining = false;
  #timer: NodeJS.Timeout;

  /** max: connections at once; idleMs: how long one may be without a complete request head. */
  constructor(clock: Clock, max: number, idleMs: number) {
    this.#clock = clock;
    this.#max = max;
    this.#idleMs = idleMs;
    this.#timer = setInterval(() => this.sweep(), SWEEP_MS).unref();
  }

  get size(): number {
    return this.#all.size;
  }

  of(socket: Socket): Connection | undefined {
    return this.#all.get(socket);
  }

  /** A new connection. Without a place for it, the one that is idle the longest gives way; busy ones never do. */
  open(socket: Socket): void {
    const connection = new Connection(socket, this.#clock.now());
    if (this.#all.size >= this.#max) {
      const [oldest] = this.#idle;
      if (oldest) this.#forget(oldest);
      oldest?.socket.destroy();
    }
    const full = this.#all.size - this.#idle.size >= this.#max;
    this.#all.set(socket, connection);
    this.#idle.add(connection);
    socket.once('close', () => this.#forget(connection));
    this.#closeGently(connection);
    if (full) this.onTooMany(connection);
  }

  /** A request head was read: whether it is answered as usual, refused as the last one here, or not at all. */
  admit(request: IncomingMessage, response: ServerResponse): Admission {
    const connection = this.#all.get(request.socket);
    if (!connection || connection.closing) {
      if (connection && ++connection.ignored > MAX_IGNORED) connection.socket.destroy();
      return 'ignore';
    }
    connection.request = request;
    connection.response = response;
    connection.requests += 1;
    connection.unanswered.set(response, undefined);
    this.#idle.delete(connection);
    response.once('close', () => this.#answered(connection, response));
    if (connection.unanswered.size > MAX_PIPELINED) {
      connection.closing = true;
      return 'refuse';
    }
    // After an upgrade that is not taken up Node reads no further request (curl --http2 asks for one).
    if (connection.requests >= MAX_REQUESTS || request.headers.upgrade !== undefined) connection.closing = true;
    return 'answer';
  }

  /** Remembers who answers, to refuse what is not answered when draining takes too long. */
  answering(reply: FastifyReply): void {
    const connection = this.#all.get(reply.raw.socket ?? reply.request.raw.socket);
    if (connection?.unanswered.has(reply.raw)) connection.unanswered.set(reply.raw, reply);
  }

  /** Whether this answer is the last of its connection; later requests are ignored then (RFC 9112, 9.6). */
  isLast(response: ServerResponse, socket: Socket, draining: boolean): boolean {
    const connection = this.#all.get(socket);
    if (connection?.response !== response) return false;
    if (draining) connection.closing = true;
    return connection.closing;
  }

  /** Connections without a request are closed now, the others after their answers. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.sweep(), DRAIN_SWEEP_MS);
    for (const { socket } of this.#idle) socket.destroy();
  }

  /** Stops looking; for when the server is closed. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Requests without an answer, with who would give it, if that is known. */
  *unanswered(): Generator<FastifyReply> {
    for (const { unanswered } of this.#all.values()) {
      for (const [response, reply] of unanswered) if (reply && !response.headersSent) yield reply;
    }
  }

  cutAll(): void {
    for (const socket of this.#all.keys()) socket.destroy();
  }

  /** Closes connections that have been without a request, or have not read their answers, for too long. */
  sweep(): void {
    const nowMs = this.#clock.now();
    for (const connection of this.#all.values()) {
      if (this.#hasExpired(connection, nowMs)) connection.socket.destroy();
    }
  }

  #hasExpired(connection: Connection, nowMs: number): boolean {
    const { socket, idle, idleSinceMs, request, closing } = connection;
    if (idle) {
      if (this.#draining) return !closing; // what is closing ends by itself, soon
      const limitMs = request && !request.complete ? REFUSED_BODY_MS : this.#idleMs;
      return nowMs - idleSinceMs > limitMs;
    }
    const sentBytes = socket.bytesWritten - socket.writableLength;
    if (sentBytes !== connection.sentBytes || socket.writableLength === 0) {
      connection.sentBytes = sentBytes;
      connection.sentMs = nowMs;
    }
    return nowMs - connection.sentMs > (this.#draining ? DRAIN_UNREAD_MS : UNREAD_MS);
  }

  #answered(connection: Connection, response: ServerResponse): void {
    connection.unanswered.delete(response);
    if (!connection.idle) return;
    connection.idleSinceMs = this.#clock.now();
    if (this.#all.has(connection.socket)) this.#idle.add(connection);
    connection.whenAnswered?.();
    if (this.#draining && !connection.closing) connection.socket.destroySoon();
  }

  #forget(connection: Connection): void {
    if (!this.#all.delete(connection.socket)) return;
    this.#idle.delete(connection);
    // Node closes the response that was being written; those behind it would wait for ever, and what they hold with them.
    for (const response of [...connection.unanswered.keys()]) {
      if (response.socket === null && !response.closed) {
        response.destroy();
        Object.assign(response, { _closed: true });
        response.emit('close');
      }
    }
  }

  /** Node closes a connection after its last answer by destroySoon, even if the client is still sending. */
  #closeGently(connection: Connection): void {
    const { socket } = connection;
    const destroySoon = socket.destroySoon.bind(socket);
    socket.destroySoon = () => {
      if (connection.mayStillSend) connection.end(this.lingerMs);
      else destroySoon();
    };
  }

  get lingerMs(): number {
    return this.#draining ? DRAIN_LINGER_MS : LINGER_MS;
  }
}
