/**
 * Keeps track of the TCP connections of a server: limits their number and their open requests, and ends them cleanly.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';
import type { Clock } from '../scheduler/clock.js';

/** Unanswered requests on one connection, at most. Browsers do not pipeline; clients that do send about ten ahead. */
const MAX_PIPELINED = 16;
/**
 * Requests on one connection, at most, so that memory held for it is freed now and then (nginx: keepalive_requests).
 */
const MAX_REQUESTS = 1000;
/**
 * After its last answer a connection ignores further requests, up to this many; then it is cut. The limit is above the
 * 3,600 that fit into one read of 64 KiB, so that pipelined requests do not make the client lose answers to earlier
 * ones.
 */
const MAX_IGNORED = 10_000;
/** How often `sweep` runs, and how often while draining, when every connection should end within about a second. */
const SWEEP_MS = 1000;
const DRAIN_SWEEP_MS = 100;
/** A client that reads nothing of its answer for this time is cut (nginx: send_timeout); the second while draining. */
const UNREAD_MS = 60_000;
const DRAIN_UNREAD_MS = 1000;
/** How long the rest of a refused body is read, so that the client gets to the answer (nginx: lingering_timeout). */
const REFUSED_BODY_MS = 5000;
/** How long a connection is still read after we ended it: closing it with unread bytes would lose the answer. */
const LINGER_MS = 1000;
const DRAIN_LINGER_MS = 300;

export class Connection {
  readonly socket: Socket;
  /** Responses that the operating system has not taken completely, in the order of their requests. */
  readonly unanswered = new Map<ServerResponse, FastifyReply | undefined>();
  /** The latest request that is or will be answered, and its response. */
  request: IncomingMessage | undefined;
  response: ServerResponse | undefined;
  requests = 0;
  ignored = 0;
  /** Whether `response` is the last one: it says `Connection: close`, and later requests are ignored. */
  closing = false;
  /** Whether the bytes received were not valid HTTP; nothing more is read. */
  broken = false;
  /** Since when there has been no unanswered request, in the clock's ms. */
  idleSinceMs: number;
  /** Called once all requests are answered. */
  whenAnswered: (() => void) | undefined;
  /** Bytes that the operating system has taken for sending, and when that number last changed. */
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

  /**
   * Whether the client may still be sending. Then closing would reset the connection, and the client would lose the
   * answer.
   */
  get mayStillSend(): boolean {
    return this.broken || this.ignored > 0 || this.request?.complete === false;
  }

  #lingers = false;

  /**
   * Ends our side after sending what is written (and lastBytes), and closes the socket lingerMs later at the latest.
   */
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

/** What to do with a request: answer it as usual; answer it with a refusal, as the last one; or do not answer it. */
export type Admission = 'answer' | 'refuse' | 'ignore';

export class Connections {
  /** Called with a connection beyond the limit, to send an answer; the default just closes it. */
  onTooMany: (connection: Connection) => void = ({ socket }) => socket.destroy();
  readonly #clock: Clock;
  readonly #max: number;
  readonly #idleMs: number;
  readonly #all = new Map<Socket, Connection>();
  /** Connections without a request, longest idle first. */
  readonly #idle = new Set<Connection>();
  #draining = false;
  #timer: NodeJS.Timeout;

  /** max: connections at once; idleMs: how long a connection may be without a complete request head. */
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

  /**
   * Registers a new connection. If there are too many, the longest idle one is closed; busy ones are never closed for
   * it.
   */
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

  /** Registers a request whose head was read, and decides what to do with it. */
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
    // After a request with Upgrade (curl --http2 sends one), Node reads no further request.
    if (connection.requests >= MAX_REQUESTS || request.headers.upgrade !== undefined) connection.closing = true;
    return 'answer';
  }

  /** Remembers Fastify's reply of a response, so that `unanswered` can refuse it when draining takes too long. */
  answering(reply: FastifyReply): void {
    const connection = this.#all.get(reply.raw.socket ?? reply.request.raw.socket);
    if (connection?.unanswered.has(reply.raw)) connection.unanswered.set(reply.raw, reply);
  }

  /** Whether this answer is the last of its connection, as when the service is leaving; if so, later requests are ignored (RFC 9112, 9.6). */
  isLast(response: ServerResponse, socket: Socket, leaving: boolean): boolean {
    const connection = this.#all.get(socket);
    if (connection?.response !== response) return false;
    if (leaving) connection.closing = true;
    return connection.closing;
  }

  /** Begins draining: idle connections are closed now, the others after their answers. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.sweep(), DRAIN_SWEEP_MS);
    for (const { socket } of this.#idle) socket.destroy();
  }

  /** Stops the timer; called when the server is closed. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Fastify's replies that have not begun to be sent. */
  *unanswered(): Generator<FastifyReply> {
    for (const { unanswered } of this.#all.values()) {
      for (const [response, reply] of unanswered) if (reply && !response.headersSent) yield reply;
    }
  }

  /** Closes all connections at once. */
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
      if (this.#draining) return !closing; // a closing connection ends by itself soon
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
    // Node closes only the response that was being written. The others are closed here, or they would never be freed.
    for (const response of [...connection.unanswered.keys()]) {
      if (response.socket === null && !response.closed) {
        response.destroy();
        Object.assign(response, { _closed: true });
        response.emit('close');
      }
    }
  }

  /**
   * Replaces destroySoon, by which Node closes a connection after its last answer even if the client is still sending,
   * by a version that lingers in that case.
   */
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
