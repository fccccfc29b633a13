/** State that all routes share: whether the service is ready, and its parts once it is. */
import { Access } from '../access/access.js';
import type { Classifier } from '../classify.js';
import type { Config } from '../config.js';
import { DimmerError } from '../errors.js';
import type { Catalog } from '../family/served.js';
import type { Decoder } from '../image/decoder.js';
import type { Latency } from '../latency/model.js';
import type { Runtime } from '../runtime/runtime.js';
import type { Clock } from '../scheduler/clock.js';
import type { Scheduler } from '../scheduler/scheduler.js';
import { StartProgress } from '../start-progress.js';
import { Live } from '../telemetry/live.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Tracing } from '../telemetry/tracing.js';
import { InFlight } from './in-flight.js';
import { Watchers } from './live.js';
import { Uploads } from './uploads.js';

/** The parts of a ready service: families are loaded, engine threads warm, latencies measured. */
export interface Service {
  readonly catalog: Catalog;
  readonly classifier: Classifier;
  readonly scheduler: Scheduler;
  readonly decoder: Pick<Decoder, 'stuckMs' | 'alive'>;
  readonly latency: Latency;
  readonly runtime: Runtime;
}

/** A family that is served or was refused. */
export interface Listed {
  readonly name: string;
  /** Undefined if it is not served. */
  readonly version: string | undefined;
  /** Why the present content of its folder is not served; undefined if it is. */
  readonly reason: string | undefined;
}

/** Changes the served families while the service runs. */
export interface ModelRepository {
  /** Whether families follow MODELS_DIR by themselves (MODELS_WATCH). */
  readonly watches: boolean;
  readonly index: readonly Listed[];
  /**
   * Serves the family of this name as its folder holds it now. Raises DimmerError unknown-model, or refused-model with
   * the reason.
   */
  load(name: string): Promise<void>;
  /** Stops to serve a family. Raises DimmerError unknown-model, or refused-model if it has to stay. */
  unload(name: string): Promise<void>;
  /** Resolves when no change is under way; none begins any more. */
  close(): Promise<void>;
}

/** When all places of the decoder have been taken for this long without a decode ending, the service is not ready. */
const STUCK_MS = 5_000;

export class State {
  readonly config: Config;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Keys and quotas. */
  readonly access: Access;
  readonly uploads: Uploads;
  /** Counts answers and refusals for /live. */
  readonly live = new Live();
  readonly watchers: Watchers;
  /** Undefined if no traces are sent. */
  tracing: Tracing | undefined;
  /** Requests that classify and are not answered yet. */
  readonly inFlight = new InFlight();
  /** The service will end: balancers are told (/readyz, `Connection: close`), and requests are still served. */
  leaving = false;
  /** New requests are refused. */
  draining = false;
  readonly progress = new StartProgress();
  /** Why the service is not ready; used until `service` is set. */
  notReady = 'the service is starting';
  #service: Service | undefined;

  constructor(config: Config, clock: Clock, metrics: Metrics, access = new Access(config, clock, metrics)) {
    this.config = config;
    this.clock = clock;
    this.metrics = metrics;
    this.access = access;
    this.uploads = new Uploads(config, clock, () => this.draining);
    this.watchers = new Watchers(this.live, () => this.#service?.scheduler.queued ?? 0);
  }

  /** Changes the served families; undefined until the service is ready. */
  repository: ModelRepository | undefined;

  set service(service: Service) {
    this.#service = service;
  }

  /** The service, also while draining; undefined while it is starting. */
  get running(): Service | undefined {
    return this.#service;
  }

  /** The service, to handle a new request. Raises DimmerError not-ready or draining. */
  get service(): Service {
    if (this.draining) throw draining('the service is shutting down and finishes only what it has accepted');
    const service = this.#service;
    if (!service) throw notReady(this.notReady, { progress: this.progress.now });
    if (service.catalog.families.length === 0) throw notReady('the last family was removed');
    return service;
  }

  /** Raises as `assertReady`, and DimmerError draining if the service will end: nothing new should be sent to it. */
  assertStaysReady(): void {
    if (this.leaving || this.draining) throw draining('the service is about to shut down');
    this.assertReady();
  }

  /** Raises DimmerError not-ready or draining; not-ready also if no engine thread is alive or decoding is stuck. */
  assertReady(): void {
    const { runtime, decoder } = this.service;
    if (runtime.alive === 0) throw notReady('no engine thread is alive; one is being started');
    if (decoder.alive === 0 || decoder.stuckMs > STUCK_MS)
      throw notReady('decoding is stuck: pictures wait, and none has been decoded for a while');
  }
}

export function draining(detail: string): DimmerError {
  return new DimmerError('draining', {
    detail,
    expected: 'a replica that stays',
    action: 'send the request again, over a new connection',
    retryAfterS: 1,
  });
}

function notReady(detail: string, members: Record<string, unknown> = {}): DimmerError {
  return new DimmerError('not-ready', {
    detail,
    expected: 'families loaded and every served instance warm in every engine thread (GET /readyz says when)',
    action: 'try again shortly; if the service does not become ready, read its log',
    retryAfterS: 1,
    members,
  });
}
