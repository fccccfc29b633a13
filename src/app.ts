/** The composition root: makes all parts of the service and connects them. */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { createShadow } from './agreement.js';
import { Classifier } from './classify.js';
import type { Config } from './config.js';
import { readingHost, watchCpus } from './cpu-watch.js';
import { checkDefaultBudget, readDefaultBudget } from './default-budget.js';
import { Draining } from './draining.js';
import { Engine } from './engine/engine.js';
import { withoutBadTwins } from './engine/twins.js';
import { StartError } from './errors.js';
import type { Family } from './family/instance.js';
import { loadFamilies } from './family/load.js';
import { Catalog, ServedFamily } from './family/served.js';
import { hostLatency } from './host-latency.js';
import { createAdminServer, createServer } from './http/server.js';
import { State } from './http/state.js';
import { Decoder } from './image/decoder.js';
import type { DecodingProcess } from './image/process.js';
import { LatencyModel } from './latency/model.js';
import { graphsOf, type Networks, type StartRuntime, startNetworks, type ThreadEvents } from './networks.js';
import type { Next } from './plan/next.js';
import { rehearse } from './rehearsal.js';
import { chosenFrom } from './router/frontier.js';
import { residentOf } from './router/resident.js';
import { sharedOutBytes } from './runtime/memory.js';
import { lowerOtherThreads } from './runtime/priority.js';
import type { Runtime } from './runtime/runtime.js';
import { type Clock, systemClock } from './scheduler/clock.js';
import { CpuShare } from './scheduler/cpus.js';
import { ANSWER_MS } from './scheduler/order.js';
import { Scheduler } from './scheduler/scheduler.js';
import { faultLog } from './telemetry/faults.js';
import { createMetrics } from './telemetry/metrics.js';
import { startTracing } from './telemetry/tracing.js';

/** Least MiB to count for an instance: for small networks the measured difference is mostly noise of other memory. */
const LEAST_INSTANCE_MB = 1;

export interface Dependencies {
  readonly clock?: Clock;
  /** The plan; benches pass rival policies. */
  readonly next?: Next;
  /** Starts a decoding process; tests share processes. */
  readonly startProcess?: () => DecodingProcess;
  readonly startRuntime?: StartRuntime;
  /** Reads the families of MODELS_DIR; a command that asks for one needs no other. */
  readonly loadFamilies?: typeof loadFamilies;
}

/** The service. It listens before it is ready, and drains before it closes. */
export class App {
  readonly state: State;
  readonly server: FastifyInstance;
  /** Address of the server on ADMIN_PORT, once it listens; undefined if ADMIN_PORT is not set. */
  adminAddress: string | undefined;
  readonly #admin: FastifyInstance | undefined;
  readonly #draining: Draining;
  readonly #logger: Logger;
  readonly #next: Next | undefined;
  readonly #startProcess: Dependencies['startProcess'];
  readonly #cpus: CpuShare;
  /** Aborted when `close` is called, which stops a start. */
  readonly #ending = new AbortController();
  readonly #startRuntime: StartRuntime | undefined;
  readonly #loadFamilies: typeof loadFamilies;
  #runtime: Runtime | undefined;
  #watch: NodeJS.Timeout | undefined;
  #decoder: Decoder | undefined;
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(state: State, server: FastifyInstance, logger: Logger, dependencies: Dependencies) {
    this.state = state;
    this.server = server;
    this.#logger = logger;
    this.#next = dependencies.next;
    const { CPUS, ONNX_THREADS, EXECUTION_PROVIDER } = state.config;
    this.#cpus = new CpuShare(CPUS, ONNX_THREADS, EXECUTION_PROVIDER === 'cpu');
    this.#startProcess = dependencies.startProcess;
    this.#startRuntime = dependencies.startRuntime;
    this.#loadFamilies = dependencies.loadFamilies ?? loadFamilies;
    this.#admin = state.config.ADMIN_PORT === undefined ? undefined : createAdminServer(state, logger);
    this.#draining = new Draining(state, this.#admin ? [server, this.#admin] : [server], logger);
  }

  static async create(config: Config, logger: Logger, dependencies: Dependencies = {}): Promise<App> {
    const state = new State(config, dependencies.clock ?? systemClock, createMetrics({ ofProcess: true }));
    const { metrics, clock } = state;
    state.tracing = await startTracing({ config, metrics, logger, now: () => clock.now() });
    return new App(state, await createServer(state, logger), logger, dependencies);
  }

  /** Opens the ports; /healthz answers from now on. Returns the service's address. */
  async listen(): Promise<string> {
    const { HOST: host, PORT: port, ADMIN_PORT: adminPort } = this.state.config;
    if (adminPort !== undefined) this.adminAddress = await this.#admin?.listen({ host, port: adminPort });
    return this.server.listen({ host, port });
  }

  /** After `start`: whether there is a family to serve. */
  get ready(): boolean {
    return this.#runtime !== undefined;
  }

  /** Loads families, warms up and measures; then the service is ready, unless there is no family. Raises StartError. */
  start(): Promise<void> {
    this.state.progress.begin(this.#logger);
    this.#starting = this.#start().finally(() => this.state.progress.end());
    return this.#starting;
  }

  async #start(): Promise<void> {
    const { state } = this;
    const { config, clock, metrics } = state;
    readDefaultBudget(config.DEFAULT_BUDGET); // early, so that a mistake is reported before the long steps
    const loaded = await this.#loadFamilies(config.MODELS_DIR);
    if (config.DEFAULT_MODEL !== undefined && !loaded.some((f) => f.name === config.DEFAULT_MODEL)) {
      throw new StartError(
        `DEFAULT_MODEL=${config.DEFAULT_MODEL} is not in ${config.MODELS_DIR}; there is: ${loaded.map((f) => f.name).join(', ') || 'nothing'}`,
      );
    }
    if (loaded.length === 0) {
      state.notReady = 'MODELS_DIR holds no family'; // goes to clients, so it does not name the folder
      this.#logger.error({ models: config.MODELS_DIR }, state.notReady);
      return;
    }
    const { runtime, shared, instanceMb } = await this.#startNetworks(loaded);
    this.#runtime = runtime;
    this.#throwIfEnding();
    const { families, wrong } = await withoutBadTwins(loaded, runtime, (twin) =>
      this.#logger.warn(twin, 'this processor computes this int8 instance wrongly, so it is not served'),
    );
    const decoder = this.#startDecoder();
    this.#decoder = decoder;
    await decoder.start();
    for (const { resize } of families) await decoder.warm(resize);
    lowerOtherThreads();
    this.#throwIfEnding();
    const logger = this.#logger;
    state.progress.enter('measuring');
    const { baselines, fasterTwins } = await hostLatency({
      config,
      clock,
      logger,
      runtime,
      decoder,
      families,
      shared,
    });
    const now = () => clock.now();
    const latency = LatencyModel.from(baselines, now);
    this.#throwIfEnding();
    const chosen = families.map((family) => ({
      instances: family.instances,
      chosen: chosenFrom(family.instances, fasterTwins),
      shared: shared.has(family.name),
    }));
    const eachMb = Math.max(LEAST_INSTANCE_MB, instanceMb ?? 0);
    const most = config.MAX_RESIDENT_MB === undefined ? undefined : config.MAX_RESIDENT_MB / eachMb;
    const resident = residentOf(chosen, most);
    const wanted = residentOf(chosen).size;
    if (resident.size < wanted) {
      logger.warn(
        { resident: resident.size, wanted, neededMb: Math.ceil(wanted * eachMb) },
        'MAX_RESIDENT_MB has no room for all instances: only these are served, any other is loaded when it is pinned',
      );
    }
    const served = families.map(
      (family, n) =>
        new ServedFamily({
          family,
          frontier: chosen[n]?.chosen ?? [],
          resident,
          shared: shared.get(family.name),
          wrong,
        }),
    );
    checkDefaultBudget(
      config.DEFAULT_BUDGET,
      served,
      ({ key }) => latency.run(key, 1).idleMs + ANSWER_MS,
      this.#logger,
    );
    runtime.keep(resident);
    state.progress.enter('warming');
    const catalog = new Catalog(served, config.DEFAULT_MODEL);
    const engine = new Engine(runtime);
    const parts = {
      engine,
      decoder,
      clock,
      cpus: this.#cpus,
      maxQueue: config.MAX_QUEUE,
      maxWaitMs: config.MAX_WAIT_MS,
      onFault: faultLog(this.#logger, () => clock.now()),
      ...(this.#next && { next: this.#next }),
    };
    const sample = (width: number, height: number) => decoder.sample(width, height);
    await rehearse(config, clock, this.#logger, sample, (ownMetrics) => {
      const latency = LatencyModel.from(baselines, now); // own model: slow first runs must not count later
      const scheduler = new Scheduler({ ...parts, latency });
      const classifier = new Classifier({ catalog, scheduler, latency, clock, config, metrics: ownMetrics });
      return { catalog, scheduler, latency, classifier, decoder, runtime };
    });
    const shadow = config.SHADOW_SHARE > 0 ? createShadow(config.SHADOW_SHARE, catalog, metrics) : undefined;
    const scheduler = new Scheduler({ ...parts, latency, shadow });
    const read = readingHost(
      () => clock.now(),
      config.CPUS,
      () => scheduler.spent,
      () => decoder.cpuMs,
    );
    this.#watch = watchCpus(this.#cpus, read);
    const classifier = new Classifier({ catalog, scheduler, latency, clock, config, metrics });
    state.service = { catalog, classifier, scheduler, latency, decoder, runtime };
    this.#observe(scheduler, runtime);
    for (const { family, instances } of served) {
      metrics.model.set({ model: family.name, version: family.version }, 1);
      metrics.weights.set({ model: family.name }, shared.get(family.name)?.bytes ?? 0);
      this.#logger.info(
        { model: family.name, version: family.version, device: runtime.device, instances: instances.map((i) => i.id) },
        'family served',
      );
    }
  }

  async #startNetworks(families: readonly Family[]): Promise<Networks> {
    const { config, metrics, progress } = this.state;
    const onThread: ThreadEvents = (event, message) => {
      metrics.threadEvents.inc({ event });
      if (event === 'replaced') lowerOtherThreads();
      this.#logger[event === 'replaced' ? 'info' : 'error']({ event, message }, 'engine thread');
    };
    const { signal } = this.#ending;
    if (!this.#startRuntime)
      return startNetworks({ config, families, logger: this.#logger, progress, onThread, signal });
    const graphs = families.flatMap((family) => graphsOf(family));
    return { runtime: await this.#startRuntime(config, graphs, onThread), shared: new Map(), instanceMb: undefined };
  }

  /** Ends a start between two steps if `close` was called: raises the reason. */
  #throwIfEnding(): void {
    this.#ending.signal.throwIfAborted();
  }

  /** Drains (finishes accepted requests, refuses new ones), then closes ports, threads and processes. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { clock, config, tracing } = this.state;
    const endMs = clock.now() + config.DRAIN_TIMEOUT_MS;
    this.#ending.abort(new StartError('asked to end before it was ready'));
    await this.#draining.run(this.#starting);
    clearInterval(this.#watch);
    await Promise.all([this.#runtime?.close(), this.#decoder?.close(), tracing?.close(endMs - clock.now())]);
  }

  /** Like `close`, but refuses requests without an answer now instead of waiting for them. */
  hurry(): void {
    void this.close();
    this.#draining.hurry();
  }

  #startDecoder(): Decoder {
    const { config, clock, metrics } = this.state;
    return new Decoder({
      maxPixels: config.MAX_IMAGE_PIXELS,
      maxBytes: config.MAX_DECODE_BYTES,
      timeoutMs: config.DECODE_TIMEOUT_MS,
      cpus: config.CPUS,
      clock,
      ...(this.#startProcess && { start: this.#startProcess }),
      onProcess: (event, message) => {
        metrics.decoderEvents.inc({ event });
        this.#logger[event === 'given-up' ? 'info' : 'error']({ event, message }, 'decoding process');
      },
    });
  }

  /** Sets gauges whenever metrics are collected. */
  #observe(scheduler: Scheduler, runtime: Runtime): void {
    const { state } = this;
    const { queued, waitingBytes, threads, ready, memory } = state.metrics;
    Object.assign(memory, { collect: async () => memory.set((await sharedOutBytes()) ?? Number.NaN) });
    Object.assign(queued, { collect: () => queued.set(scheduler.queued) });
    Object.assign(waitingBytes, { collect: () => waitingBytes.set(state.uploads.heldBytes) });
    Object.assign(threads, { collect: () => threads.set({ device: runtime.device }, runtime.alive) });
    Object.assign(ready, { collect: () => ready.set(!state.draining && runtime.alive > 0 ? 1 : 0) });
  }
}
