/** The server on GRPC_PORT: its services, its limits, and how it ends. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server as Listener } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type ConnectionInjector, logVerbosity, Server, ServerCredentials, setLogVerbosity } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { protoPath } from 'grpc-health-check';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import { DimmerError } from '../errors.js';
import { draining, type State } from '../http/state.js';
import { type Call, intercepting } from './call.js';
import { Health } from './health.js';
import type { ModelInferRequest } from './message.js';
import { isReady, methods, type Received } from './methods.js';
import { assertCheap, malformed } from './scan.js';

/** The protocol; proto/ lies above src and above dist. */
const PROTO = fileURLToPath(new URL('../../proto/open_inference_grpc.proto', import.meta.url));
const SERVICE = 'inference.GRPCInferenceService';

/** How proto-loader decodes: names as in the file, int64 as numbers, missing fields with their defaults. */
const DECODING = { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true };

/** Least calls at once on a connection that HTTP/2 recommends to allow (RFC 9113, 6.5.2). */
const LEAST_STREAMS = 100;
/**
 * A connection is replaced after this time, give or take a tenth, so that clients spread over replicas that are new.
 * Lower: more connections are made. Higher: new replicas stay idle for longer.
 */
const MAX_AGE_MS = 5 * 60_000;
/** An idle connection is closed after this time, as over HTTP (listener.ts); clients open a new one by themselves. */
const MAX_IDLE_MS = 72_000;
/** A connection is asked for a sign of life after this time without one, because a host may vanish without a word. */
const PING_MS = 60_000;
const PING_TIMEOUT_MS = 20_000;
/** Time for the network and the answer beside the time limits of a call, before an old connection is cut. */
const MARGIN_MS = 10_000;
/** A client that has not read its answer after this time is cut, as over HTTP (connections.ts). */
const UNREAD_MS = 60_000;
/** The same while draining, and how long clients have for the last answers before their connections are closed. */
const CUT_AFTER_MS = 1000;
/** How often that is looked at. */
const SWEEP_MS = 250;

export class GrpcServer {
  readonly #state: State;
  readonly #logger: Logger;
  readonly #server: Server;
  readonly #connections: ConnectionInjector;
  readonly #listener: Listener;
  readonly #health: Health;
  /** Calls that have not ended. */
  readonly #open = new Set<Call>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(state: State, logger: Logger) {
    this.#state = state;
    this.#logger = logger;
    const { config } = state;
    setLogVerbosity(logVerbosity.NONE); // the library would write to the console
    this.#server = new Server({ ...optionsOf(config), interceptors: [intercepting(state, logger, this.#open)] });
    const protocol = loadSync([PROTO, protoPath], DECODING);
    this.#server.addService(checking(protocol[SERVICE] as ServiceDefinition, config), methods(state));
    this.#health = new Health(() => isReady(state));
    this.#health.addTo(this.#server);
    new ReflectionService(protocol).addToServer(this.#server);
    // A listener of our own: the library's has no limit of connections.
    this.#connections = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#listener = createServer({ noDelay: true }, (socket) => this.#connections.injectConnection(socket));
    this.#listener.maxConnections = config.MAX_CONNECTIONS;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  /** Opens the port. Returns its address. */
  async listen(host: string, port: number): Promise<string> {
    this.#listener.listen({ host, port });
    await once(this.#listener, 'listening');
    this.#listener.on('error', (err) => this.#logger.error({ err }, 'a gRPC connection was not accepted'));
    const { address, port: open, family } = this.#listener.address() as AddressInfo;
    return `${family === 'IPv6' ? `[${address}]` : address}:${open}`;
  }

  /** Tells watchers that nothing new should be sent here; all calls are still served. */
  leave(): void {
    this.#health.refresh();
  }

  /** Tells clients to go elsewhere. Calls that are accepted go on; new ones are refused. */
  drain(): void {
    this.#health.refresh();
    this.#connections.drain(this.#state.config.DRAIN_TIMEOUT_MS + MARGIN_MS);
  }

  /** Refuses all calls that have no answer yet. */
  hurry(): void {
    if (this.#open.size > 0)
      this.#logger.warn({ calls: this.#open.size }, 'draining takes too long; these calls are refused');
    this.#refuseAll('the service is shutting down and can wait no longer');
  }

  /** Closes the port and all connections. Called once no call that classifies is open. */
  async close(): Promise<void> {
    this.#health.stop();
    clearInterval(this.#sweeper);
    this.#listener.close();
    this.#refuseAll('the service is shutting down'); // watchers of health and reflection would never end
    await new Promise<void>((resolve) => {
      const cut = setTimeout(() => {
        this.#server.forceShutdown();
        resolve();
      }, CUT_AFTER_MS);
      this.#server.tryShutdown(() => {
        clearTimeout(cut);
        resolve();
      });
    });
  }

  #sweep(): void {
    const mostMs = this.#state.draining ? CUT_AFTER_MS : UNREAD_MS;
    for (const call of this.#open) call.cutUnread(mostMs);
  }

  #refuseAll(detail: string): void {
    for (const call of [...this.#open]) call.refuse(draining(detail));
  }
}

function optionsOf({ MAX_REQUEST_BYTES, MAX_QUEUE, REQUEST_TIMEOUT_MS, MAX_WAIT_MS }: Config) {
  return {
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES, // call.ts refuses before; this is the limit of the library
    'grpc.max_concurrent_streams': Math.max(LEAST_STREAMS, MAX_QUEUE), // more could not even wait
    'grpc.max_connection_age_ms': MAX_AGE_MS,
    'grpc.max_connection_age_grace_ms': REQUEST_TIMEOUT_MS + MAX_WAIT_MS + MARGIN_MS,
    'grpc.max_connection_idle_ms': MAX_IDLE_MS,
    'grpc.keepalive_time_ms': PING_MS,
    'grpc.keepalive_timeout_ms': PING_TIMEOUT_MS,
    'grpc.enable_channelz': 0, // nobody asks for its figures
  };
}

/** The service, whose messages of ModelInfer are checked before they are decoded. */
function checking(service: ServiceDefinition, config: Config): ServiceDefinition {
  const { ModelInfer } = service;
  const { requestDeserialize: decode } = ModelInfer as NonNullable<typeof ModelInfer>;
  const requestDeserialize = (message: Buffer): Received => {
    try {
      assertCheap(message, config);
      return { request: decode(message) as ModelInferRequest };
    } catch (error) {
      return { refusal: error instanceof DimmerError ? error : malformed() };
    }
  };
  return { ...service, ModelInfer: { ...ModelInfer, requestDeserialize } as never };
}
