/** One call: what it may do and how it ends. Every call is answered, refused or given up by its client, once. */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:http2';
import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import type { Logger } from 'pino';
import { type Client, toClient } from '../access/quota.js';
import type { Ask, Classification } from '../classify.js';
import { DimmerError } from '../errors.js';
import type { Instance } from '../family/instance.js';
import { PROBLEMS, toDimmerError } from '../http/problem.js';
import { costHeaders, GONE, logRefusal, reportAnswer, reportFailure } from '../http/reports.js';
import { REQUEST_ID } from '../http/request-id.js';
import type { Service, State } from '../http/state.js';
import { traceRefusal } from '../http/tracing.js';
import { ClientGone, type Watched } from '../http/uploads.js';
import { ANY_BUDGET } from '../oip/budget.js';
import type { Carrier, RequestTrace } from '../telemetry/tracing.js';
import { statusOf } from './codes.js';
import { limitMessages, PREFIX_BYTES, type Wire, wireOf } from './receiving.js';

/** The call that classifies. */
export const INFER_PATH = '/inference.GRPCInferenceService/ModelInfer';
/** Needs no key where keys are required, as orchestrators call it. */
const OPEN_SERVICE = '/grpc.health.v1.Health/';
/** Most bytes of all messages of any other call; they hold a name and a version. */
const MOST_SMALL_BYTES = 64 * 1024;
/**
 * A client ends a call at its deadline by its own clock, which began before the metadata had arrived: a call that ends
 * this long before its deadline, or less, ends because of it. Higher: more cancelled calls count as too late.
 */
const EARLY_MS = 100;

/** Calls by their metadata, the one object that both the interceptor and the handler of a call are given. */
const CALLS = new WeakMap<Metadata, Call>();

export const callOf = (metadata: Metadata): Call => CALLS.get(metadata) as Call;

export class Call {
  readonly state: State;
  readonly log: Logger;
  readonly requestId: string;
  /** Inference-Budget in the metadata. */
  readonly budgetText: string | undefined;
  /** Undefined if no traces are sent, and for calls that do not classify. */
  readonly trace: RequestTrace | undefined;
  /** The parts of the service, which a call that classifies keeps when draining begins. */
  service: Service | undefined;
  /** Set once the message is read. */
  ask: Ask | undefined;
  readonly #call: ServerInterceptingCallInterface;
  readonly #metadata: Metadata;
  readonly #infers: boolean;
  readonly #gone = new AbortController();
  /** In the clock's ms; undefined if the call has no deadline. */
  readonly #deadlineMs: number | undefined;
  /** Whether the call needs no key where keys are required. */
  readonly #isOpen: boolean;
  /** Name of the API key that the call brings; undefined without a known one. */
  #keyName: string | undefined;
  /** Whom pictures of the call count for; set once it is admitted. */
  #client: Client | undefined;
  #upload: Watched | undefined;
  #wire: Wire | undefined;
  /** When the answer was handed over to be sent, in the clock's ms. */
  #answeredMs: number | undefined;
  /** Counts the call as in flight no longer. */
  #leave = () => {};
  #settled = false;
  #ended = false;

  constructor(state: State, logger: Logger, call: ServerInterceptingCallInterface, metadata: Metadata, path: string) {
    this.state = state;
    this.#call = call;
    this.#metadata = metadata;
    this.#infers = path === INFER_PATH;
    this.#isOpen = path.startsWith(OPEN_SERVICE);
    const given = textOf(metadata, 'x-request-id');
    this.requestId = given !== undefined && REQUEST_ID.test(given) ? given : randomUUID();
    this.trace = this.#infers ? state.tracing?.begin(INFER_PATH.slice(1), carrierOf(metadata)) : undefined;
    // Names of the specification "Trace Context in non-OTLP Log Formats".
    const ids = this.trace && { trace_id: this.trace.traceId, span_id: this.trace.spanId };
    this.log = logger.child({ requestId: this.requestId, ...ids });
    this.budgetText = textOf(metadata, 'inference-budget');
    // The library has the deadline by the wall clock, which can be set; from here on the monotonic one counts.
    const leftMs = Number(call.getDeadline()) - Date.now();
    this.#deadlineMs = Number.isFinite(leftMs) ? state.clock.now() + leftMs : undefined;
    CALLS.set(metadata, this);
  }

  /** Aborted when the client cancels the call or its deadline passes. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /** The bytes of the message, which count as held until they are released. */
  get upload(): Watched {
    return this.#upload as Watched;
  }

  /**
   * What is left until the deadline, in whole ms (the resolution of the library), from `startMs` of the clock; undefined
   * if there is none. Raises DimmerError deadline-exceeded.
   */
  leftMs(startMs: number): number | undefined {
    if (this.#deadlineMs === undefined) return undefined;
    const leftMs = Math.floor(this.#deadlineMs - startMs);
    if (leftMs >= 1) return leftMs;
    throw new DimmerError('deadline-exceeded', {
      detail: 'the deadline of the call passed before its message had arrived',
      expected: 'a deadline that leaves time for the answer',
      action: 'send the call again with a later deadline',
    });
  }

  /**
   * Begins before the message is read, and refuses the call if its metadata suffices for that. Returns whether the call
   * goes on.
   */
  begin(wire: Wire, isUnary: boolean): boolean {
    const { state } = this;
    const { MAX_REQUEST_BYTES, MAX_WAITING_BYTES } = state.config;
    this.#wire = wire;
    const mostBytes = this.#infers ? Math.min(MAX_REQUEST_BYTES, MAX_WAITING_BYTES) : MOST_SMALL_BYTES;
    if (this.#infers) this.#leave = state.inFlight.begin();
    try {
      if (!this.#isOpen) this.#keyName = state.access.admitCall(this.#metadata);
      if (this.#infers) this.service = this.#admitted();
      this.#watch(wire, mostBytes + PREFIX_BYTES, isUnary);
    } catch (error) {
      this.refuse(error);
    }
    return !this.#settled;
  }

  /** Charges the client for a picture that a network has run. */
  ran({ flops }: Instance): void {
    if (this.#client) this.state.access.charge(this.#client, flops);
  }

  /** Raises DimmerError for what no message could change: quota, readiness, a full queue. */
  #admitted(): Service {
    const { state } = this;
    const client = toClient(this.#keyName, this.#call.getConnectionInfo().remoteAddress ?? '');
    state.access.begin(client, () => {});
    this.#client = client;
    state.assertReady();
    const { service } = state;
    const [any] = service.catalog.names; // the queue is one for all models
    service.classifier.judge({ budget: ANY_BUDGET, model: any, top: 1 });
    return service;
  }

  /**
   * Limits what the library reads and keeps. A stream of messages, as reflection has, stays open between them: only its
   * bytes are limited.
   */
  #watch(wire: Wire, mostBytes: number, isUnary: boolean): void {
    const fail = (error: DimmerError) => this.refuse(error);
    if (isUnary) this.#upload = this.state.uploads.watch(wire.stream, mostBytes, fail);
    limitMessages(wire, mostBytes, fail);
  }

  /** Metadata of an answer: as the headers over HTTP. */
  #headers(more: Record<string, string>): Metadata {
    const metadata = new Metadata();
    // The library says that it reads compressed messages.
    for (const [name, value] of Object.entries({
      'x-request-id': this.requestId,
      ...(this.trace && { traceresponse: this.trace.text }),
      ...ACCEPTED,
      ...more,
    }))
      metadata.set(name, value);
    return metadata;
  }

  /** Reports an answer and sends its metadata; the message comes next. Returns whether anybody still waits for it. */
  answered(ask?: Ask, answer?: Classification): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#answeredMs = this.state.clock.now();
    if (ask && answer) reportAnswer(this.state, this.log, ask, answer, this.#keyName);
    this.#call.sendMetadata(this.#headers(answer ? costHeaders(answer) : {}));
    return true;
  }

  /** Refuses the call with whatever was thrown; does nothing if it has ended already. */
  refuse(error: unknown): void {
    if (this.#settled) return;
    this.#settled = true;
    const known = toDimmerError(error);
    traceRefusal(this.trace, known.code, PROBLEMS[known.code].status);
    logRefusal(this.log, error, known, this.#keyName);
    this.#reportFailure([PROBLEMS[known.code].status, known.code]);
    this.#upload?.release();
    const status = statusOf(known, this.requestId);
    if (known.code === 'not-implemented')
      for (const [name, value] of Object.entries(ACCEPTED)) status.metadata.set(name, value);
    this.#call.sendStatus(status);
    this.#gone.abort(known);
    this.#leave(); // now, as a client may keep its half of the stream open
  }

  /**
   * Ends the call if its client has not read its answer for this time. By the flow control of HTTP/2 an answer waits for
   * its client, and with it whoever waits for the end of the call.
   */
  cutUnread(mostMs: number): void {
    if (this.#answeredMs !== undefined && this.state.clock.now() - this.#answeredMs >= mostMs)
      this.#wire?.stream.close(constants.NGHTTP2_CANCEL);
  }

  /** Called once the stream of the call is closed, for whatever reason. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#upload?.release();
    this.#leave();
    if (!this.#settled) this.#giveUp();
    this.trace?.end();
  }

  /** The client has ended the call before it was answered. */
  #giveUp(): void {
    this.#settled = true;
    const isLate = this.#deadlineMs !== undefined && this.state.clock.now() >= this.#deadlineMs - EARLY_MS;
    traceRefusal(this.trace, isLate ? 'deadline-exceeded' : 'client-gone', 0);
    this.#reportFailure(isLate ? [PROBLEMS['deadline-exceeded'].status, 'deadline-exceeded'] : GONE);
    this.#gone.abort(new ClientGone(isLate ? 'the deadline of the call has passed' : 'the client cancelled the call'));
  }

  /** Metrics count only calls that classify, as over HTTP. */
  #reportFailure(outcome: readonly [status: number, reason: string]): void {
    if (this.#infers) reportFailure(this.state, this.log, outcome, () => this.#promisedMs);
  }

  /** The latency that the call asked for, as far as it is known. */
  get #promisedMs(): number | undefined {
    return this.ask ? this.ask.budget.latency : this.state.running?.classifier.latencyOf(this.budgetText);
  }
}

/** Makes a Call of each call before its message is read. open: the calls that have not ended. */
export function intercepting(state: State, logger: Logger, open: Set<Call>): ServerInterceptor {
  return ({ path, requestStream }, inner) => {
    let call: Call | undefined;
    return new ServerInterceptingCall(inner, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            call = new Call(state, logger, inner, metadata, path);
            open.add(call);
            if (call.begin(wireOf(inner), !requestStream)) pass(metadata);
          },
          onCancel: () => {
            if (call) open.delete(call);
            call?.end();
          },
        }),
    });
  };
}

/** All values of a key of metadata, as a header of HTTP joins them; undefined if there is none. */
function textOf(metadata: Metadata, name: string): string | undefined {
  const values = metadata.get(name);
  return values.length === 0 ? undefined : values.map(String).join(', ');
}

/** Where a client's trace is named. */
const carrierOf = (metadata: Metadata): Carrier =>
  Object.fromEntries(['traceparent', 'tracestate'].map((name) => [name, textOf(metadata, name)]));

/** Compressed messages are not read. */
const ACCEPTED = { 'grpc-accept-encoding': 'identity' };
