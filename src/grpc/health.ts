/** The health service of gRPC (grpc.health.v1), which says SERVING while the service is ready. */
import { type ServerUnaryCall, type ServerWritableStream, status } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';

/** The server as a whole, and its service. */
const NAMES = ['', 'inference.GRPCInferenceService'];
/** How often watchers are told of a change; other checks are up to date. Lower: CPU. Higher: balancers learn it later. */
const CHECK_MS = 250;

type Callback = (error: { code: status; details: string } | null, value?: object) => void;
type Asked = { readonly service: string };
type Server = Parameters<HealthImplementation['addToServer']>[0];

export class Health {
  readonly #health = new HealthImplementation(Object.fromEntries(NAMES.map((name) => [name, 'NOT_SERVING'])));
  readonly #isReady: () => boolean;
  readonly #timer: NodeJS.Timeout;
  #serving = false;

  constructor(isReady: () => boolean) {
    this.#isReady = isReady;
    this.#timer = setInterval(() => this.refresh(), CHECK_MS).unref();
  }

  /** Tells watchers if the service has become ready or is no longer. */
  refresh(): void {
    const serving = this.#isReady();
    if (serving === this.#serving) return;
    this.#serving = serving;
    for (const name of NAMES) this.#health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  addTo(server: Server): void {
    const addService: Server['addService'] = (definition, implementation) => {
      const { check, watch, ...others } = implementation as unknown as {
        check: (call: ServerUnaryCall<Asked, object>, callback: Callback) => void;
        watch: (call: ServerWritableStream<Asked, object>) => void;
      };
      const fresh = {
        ...others,
        check: (call: ServerUnaryCall<Asked, object>, callback: Callback) => {
          this.refresh();
          if (NAMES.includes(call.request.service)) check(call, callback);
          else callback({ code: status.NOT_FOUND, details: `this server has no such service, but ${NAMES[1]}` });
        },
        watch: (call: ServerWritableStream<Asked, object>) => {
          this.refresh();
          // The library would keep each name for ever, and clients can make up as many as they like.
          if (NAMES.includes(call.request.service)) watch(call);
          else call.write({ status: 'SERVICE_UNKNOWN' });
        },
      };
      server.addService(definition, fresh as never);
    };
    this.#health.addToServer({ addService } as Server);
  }
}
