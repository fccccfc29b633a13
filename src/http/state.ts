/** What the routes share: whether the service is ready, and the parts it has once it is. */
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
import { Watchers } from './live.js';
import { Uploads } from './uploads.js';

/** The parts that exist once families are loaded, threads are warm and latency is known. */
export interface Service {
  readonly catalog: Catalog;
  readonly classifier: Classifier;
  readonly scheduler: Scheduler;
  readonly decoder: Pick<Decoder, 'stuckMs' | 'alive'>;
  readonly latency: Latency;
  readonly runtime: Runtime;
}

/** Pictures have waited so long for the decoder and none was finished: no other will be for now. */
const STUCK_MS = 5_000;

export class State {
  readonly config: Config;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Bodies of requests. */
  readonly uploads: Uploads;
  /** What is answered and refused, as it happens. */
  readonly live = new Live();
  readonly watchers: Watchers;
  /** Requests to /classify that are not answered yet. */
  inFlight = 0;
  draining = false;
  readonly progress = new StartProgress();
  /** Why the service is not ready, as long as there is no `service`. */
  notReady = 'the service is starting';
  #service: Service | undefined;

  constructor(config: Config, clock: Clock, metrics: Metrics) {
    this.config = config;
    this.clock = clock;
    this.metrics = metrics;
    this.uploads = new Uploads(config, clock, () => this.draining);
    this.watchers = new Watchers(this.live, () => this.#service?.scheduler.queued ?? 0);
  }

  set service(service: Service) {
    this.#service = service;
  }

  /** The service as it is, whether or not it takes requests. */
  get running(): Service | undefined {
    return this.#service;
  }

  /** Raises DimmerError not-ready or draining. */
  get service(): Service {
    if (this.draining) throw draining('the service is shutting down and finishes only what it has accepted');
    const service = this.#service;
    if (!service) throw notReady(this.notReady, { progress: this.progress.now });
    return service;
  }

  /** The same, and also when no engine thread is alive or no picture is decoded any more. */
  assertReady(): void {
    const { runtime, decoder } = this.service;
    if (runtime.alive === 0) throw notReady('no engine thread is alive; one is being started');
    if (decoder.alive === 0 || decoder.stuckMs > STUCK_MS)
      throw notReady('no picture was decoded for a while, although some wait for it');
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
    action: 'try again shortly; if it stays so, read the log of the service',
    retryAfterS: 1,
    members,
  });
}
