/** The composition root: makes all parts of the service and connects them. */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { Access } from './access/access.js';
import { createShadow } from './agreement.js';
import { Classifier } from './classify.js';
import type { Config } from './config.js';
import { readingHost, watchCpus } from './cpu-watch.js';
import { readDefaultBudget } from './default-budget.js';
import { Draining } from './draining.js';
import { Engine } from './engine/engine.js';
import { type CheckedFamily, forDevice, withoutBadTwins } from './engine/twins.js';
import { StartError } from './errors.js';
import { badTwin, Families } from './families.js';
import type { Family } from './family/instance.js';
import { loadFamilies } from './family/load.js';
import { observeService } from './gauges.js';
import type { GrpcServer } from './grpc/server.js';
import { hostLatency } from './host-latency.js';
import { createAdminServer, createServer } from './http/server.js';
import { State } from './http/state.js';
import { Decoder } from './image/decoder.js';
import type { DecodingProcess } from './image/process.js';
import { LatencyModel } from './latency/model.js';
import { graphsOf, type Networks, type StartRuntime, sharedOf, startNetworks, type ThreadEvents } from './networks.js';
import type { Next } from './plan/next.js';
import { rehearse } from './rehearsal.js';
import { firstFamilies, Repository } from './repository.js';
import { lowerOtherThreads } from './runtime/priority.js';
import type { Batch, Runtime } from './runtime/runtime.js';
import { type Clock, systemClock } from './scheduler/clock.js';
import { CpuShare } from './scheduler/cpus.js';
import { Scheduler } from './scheduler/scheduler.js';
import { faultLog } from './telemetry/faults.js';
import { createMetrics } from './telemetry/metrics.js';
import { startTracing } from './telemetry/tracing.js';
import type { SharedFamily } from './weights/share.js';

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

type Servers = { readonly server: FastifyInstance; readonly grpc: GrpcServer | undefined };

/** The service. It listens before it is ready, and drains before it closes. */
export class App {
  readonly state: State;
  readonly server: FastifyInstance;
  /** The servers of all ports. */
  readonly servers: readonly FastifyInstance[];
  /** Addresses of the servers on ADMIN_PORT and GRPC_PORT, once they listen; undefined if that port is not set. */
  adminAddress: string | undefined;
  grpcAddress: string | undefined;
  readonly #admin: FastifyInstance | undefined;
  readonly #grpc: GrpcServer | undefined;
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

  private constructor(state: State, { server, grpc }: Servers, logger: Logger, dependencies: Dependencies) {
    this.state = state;
    this.server = server;
    this.#grpc = grpc;
    this.#logger = logger;
    this.#next = dependencies.next;
    const { CPUS, ONNX_THREADS, EXECUTION_PROVIDER } = state.config;
    this.#cpus = new CpuShare(CPUS, ONNX_THREADS, EXECUTION_PROVIDER === 'cpu');
    this.#startProcess = dependencies.startProcess;
    this.#startRuntime = dependencies.startRuntime;
    this.#loadFamilies = dependencies.loadFamilies ?? loadFamilies;
    this.#admin = state.config.ADMIN_PORT === undefined ? undefined : createAdminServer(state, logger);
    this.servers = this.#admin ? [server, this.#admin] : [server];
    this.#draining = new Draining(state, this.servers, logger, grpc);
  }

  static async create(config: Config, logger: Logger, dependencies: Dependencies = {}): Promise<App> {
    const clock = dependencies.clock ?? systemClock;
    const metrics = createMetrics({ ofProcess: true });
    const state = new State(config, clock, metrics, await Access.open(config, clock, metrics, logger));
    state.tracing = await startTracing({ config, metrics, logger, now: () => clock.now() });
    // Loaded only where it is used: the library of gRPC takes memory and time.
    const grpc = config.GRPC_PORT === undefined ? undefined : await import('./grpc/server.js');
    const servers = { server: await createServer(state, logger), grpc: grpc && new grpc.GrpcServer(state, logger) };
    return new App(state, servers, logger, dependencies);
  }

  /** Opens the ports; /healthz answers from now on. Returns the service's address. */
  async listen(): Promise<string> {
    const { HOST: host, PORT: port, ADMIN_PORT: adminPort, GRPC_PORT: grpcPort } = this.state.config;
    if (adminPort !== undefined) this.adminAddress = await this.#admin?.listen({ host, port: adminPort });
    if (grpcPort !== undefined) this.grpcAddress = await this.#grpc?.listen(host, grpcPort);
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
    const first = await firstFamilies({
      load: () => this.#loadFamilies(config.MODELS_DIR),
      watch: config.MODELS_WATCH === 'on',
      signal: this.#ending.signal,
      onNone: () => this.#sayNone(),
    });
    const fitted = first.map((family) => forDevice(family, config.EXECUTION_PROVIDER));
    const loaded = fitted.map((f) => f.family);
    if (config.DEFAULT_MODEL !== undefined && !loaded.some((f) => f.name === config.DEFAULT_MODEL)) {
      throw new StartError(
        `DEFAULT_MODEL=${config.DEFAULT_MODEL} is not in ${config.MODELS_DIR}; there is: ${loaded.map((f) => f.name).join(', ') || 'nothing'}`,
      );
    }
    if (loaded.length === 0) return this.#sayNone();
    const { runtime, shared, instanceMb } = await this.#startNetworks(loaded);
    this.#runtime = runtime;
    this.#throwIfEnding();
    const checked: CheckedFamily[] = [];
    for (const family of fitted) {
      const run = (batch: Batch) => runtime.run(batch);
      checked.push(await withoutBadTwins(family, run, (twin) => badTwin(this.#logger, twin)));
    }
    const found = checked.map((c) => c.family);
    const decoder = this.#startDecoder();
    this.#decoder = decoder;
    await decoder.start();
    for (const { resize } of found) await decoder.warm(resize);
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
      families: found,
      shared,
    });
    const now = () => clock.now();
    const latency = LatencyModel.from(baselines, now);
    this.#throwIfEnding();
    const members = checked.map((c) => ({ ...c, fasterTwins, shared: shared.get(c.family.name) }));
    const settled = () => state.inFlight.settled();
    const { signal } = this.#ending;
    const families = new Families(
      { config, clock, logger, metrics, runtime, decoder, latency, instanceMb, settled, signal, share: this.#share },
      members,
    );
    const { catalog } = families;
    state.progress.enter('warming');
    await families.warm();
    this.#throwIfEnding();
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
    const watch = config.MODELS_WATCH === 'on';
    state.repository = new Repository({ families, folder: config.MODELS_DIR, watch, logger, metrics });
    observeService(state, scheduler, runtime);
    for (const { family, instances } of catalog.families) {
      this.#logger.info(
        { model: family.name, version: family.version, device: runtime.device, instances: instances.map((i) => i.id) },
        'family served',
      );
    }
  }

  #sayNone(): void {
    this.state.notReady = 'MODELS_DIR holds no family'; // goes to clients, so it does not name the folder
    this.#logger.error({ models: this.state.config.MODELS_DIR }, this.state.notReady);
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

  /** Shared weights for a family that is added in service; none if a test brings its own runtime. */
  readonly #share = async (family: Family, others: readonly SharedFamily[]): Promise<SharedFamily | undefined> => {
    if (this.#startRuntime) return undefined;
    const shared = await sharedOf(this.state.config, [family], this.#logger, this.#ending.signal, others);
    return shared.get(family.name);
  };

  /** Ends a start between two steps if `close` was called: raises the reason. */
  #throwIfEnding(): void {
    this.#ending.signal.throwIfAborted();
  }

  /**
   * Drains (finishes accepted requests, refuses new ones), then closes ports, threads and processes. delayMs: for how
   * long new requests are still served, which balancers take to send them elsewhere.
   */
  close(delayMs = 0): Promise<void> {
    this.#closing ??= this.#close(delayMs);
    return this.#closing;
  }

  async #close(delayMs: number): Promise<void> {
    const { access, clock, config, repository, tracing } = this.state;
    const endMs = clock.now() + config.DRAIN_TIMEOUT_MS;
    this.#ending.abort(new StartError('asked to end before it was ready'));
    await this.#draining.run(this.#starting, delayMs);
    clearInterval(this.#watch);
    access.close();
    await Promise.all([
      repository?.close(),
      this.#runtime?.close(),
      this.#decoder?.close(),
      tracing?.close(endMs - clock.now()),
    ]);
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
}
