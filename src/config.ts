/** Reads the configuration from environment variables through one schema, which also makes `.env.example`. */
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { areProxies, isOrigin, PROXIES, share, wholeNumber } from './config-values.js';
import { StartError } from './errors.js';
import { tracingSettings } from './otel-config.js';
import { defaultCacheFolder } from './runtime/cache-folder.js';
import { cgroupCpus } from './runtime/cpus.js';
import { WEIGHTS } from './weights/mode.js';

const port = wholeNumber(0, 65_535);
/** An hour, the longest latency of a budget. Node's timers allow up to 24 days; longer ones fire at once. */
const MOST_MS = 3_600_000;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
/**
 * Upper bound of ENGINE_THREADS x ONNX_THREADS per CPU. Two per CPU are slower than one already, and each thread takes
 * memory for every instance.
 */
const MOST_THREADS_OF_A_CPU = 4;

/** Every setting with its default and a description, which says what a value that is too low or too high does. */
export const configSchema = z.object({
  PORT: port.default(8080).describe('port of the service; 0 takes any free one'),
  HOST: z.string().min(1).default('0.0.0.0').describe('address to listen on'),
  ADMIN_PORT: port.optional().describe('if set, /metrics moves from PORT to this port'),
  GRPC_PORT: port
    .optional()
    .describe('if set, the Open Inference Protocol is served over gRPC at this port, too; unset: off'),
  MODELS_DIR: z.string().min(1).default('models').describe('folder of families; each is a folder with a manifest.json'),
  DEFAULT_MODEL: z
    .string()
    .min(1)
    .optional()
    .describe('family used when a request names none; default: the only one, or imagenet1k if it is there'),
  MODELS_WATCH: z
    .enum(['on', 'off'])
    .default('off')
    .describe(
      'on: a family whose folder in MODELS_DIR is added, changed or removed is served, replaced or removed without a restart; one that cannot be served is refused, and what was served before stays',
    ),
  DEFAULT_BUDGET: z
    .string()
    .default('')
    .describe('Inference-Budget of requests that bring none; empty: the most accurate instance, no deadline'),
  WEIGHTS: z
    .enum(WEIGHTS)
    .default('auto')
    .describe(
      'memory against speed. shared: all instances of a family share one copy of the weights (least memory). folded: batch norms are folded into weights, which makes runs faster and gives instances weights of their own (most memory). auto: folded as far as that takes less memory than a second copy',
    ),
  MAX_RESIDENT_MB: wholeNumber(1, 1024 * 1024)
    .optional()
    .describe(
      'MiB for networks of all engine threads; if set, only as many instances as fit stay loaded and are served, and any other is loaded when a request pins it. At start all are loaded once, to be measured. Too low leaves only full of each family',
    ),
  EXECUTION_PROVIDER: z
    .enum(['cpu', 'cuda'])
    .default('cpu')
    .describe('device of the engine threads; the start fails if cuda is not available'),
  ENGINE_THREADS: wholeNumber(1, 1024) // more than the CPUs of any host; see also MOST_THREADS_OF_A_CPU
    .optional()
    .describe(
      'threads that run networks; default: the CPUs that the service may use (cuda: 1). Too many slow each other down',
    ),
  ONNX_THREADS: wholeNumber(1, 1024)
    .default(1)
    .describe('threads inside one run; more lowers latency and throughput. ENGINE_THREADS x ONNX_THREADS <= CPUs'),
  // Every decision looks at all waiting pictures: for a thousand it takes 0.2 ms. Far more would block the event loop.
  MAX_QUEUE: wholeNumber(1, 65_536)
    .default(256)
    .describe(
      'pictures admitted and not yet running; pictures that cannot be in time any more take at most half of the places. Too low refuses short bursts, too high makes answers late',
    ),
  MAX_WAIT_MS: wholeNumber(1, MOST_MS)
    .default(10_000)
    .describe(
      'time that a picture with strict=?0 waits before it is refused with 503, or its own latency if that is longer; too low refuses pictures that a burst would only delay, too high lets clients wait in vain under lasting overload',
    ),
  // An upper bound of 1 GiB, because each picture is held in memory as a whole.
  MAX_IMAGE_BYTES: wholeNumber(1, GIB)
    .default(20 * 1024 * 1024)
    .describe('bytes of one encoded picture; too high lets one request hold that much memory'),
  // A decoded pixel takes up to 4 bytes, so the upper bound means 4 GB.
  MAX_IMAGE_PIXELS: wholeNumber(1, 1_000_000_000)
    .default(50_000_000)
    .describe('width x height of one picture, checked before decoding; too high lets one picture take seconds and GBs'),
  // A request is admitted whole or not at all, so that one with more pictures would hardly ever be admitted.
  MAX_IMAGES: wholeNumber(1, 1024)
    .default(16)
    .describe('pictures in one request; too high lets one client fill MAX_QUEUE'),
  // A form is held as a whole and copied once, and a buffer of Node has at most 4 GiB.
  MAX_REQUEST_BYTES: wholeNumber(1, 2 * GIB)
    .default(128 * 1024 * 1024)
    .describe(
      'bytes of one form, or of one request by the Open Inference Protocol, with all its pictures; too low refuses several photographs in one request',
    ),
  // Parsed JSON takes several times the bytes of its text.
  MAX_JSON_BYTES: wholeNumber(1, 256 * MIB)
    .default(4 * MIB)
    .describe(
      'bytes of JSON in one request to /v2, or of a gRPC message without its binary data; parsing takes some 10 ms for each MiB, during which no other request is answered. Binary data does not count. Too low refuses pixels and base64 in JSON',
    ),
  // The upper bound is above the memory of any host.
  MAX_WAITING_BYTES: wholeNumber(1, 1024 * GIB)
    .default(512 * 1024 * 1024)
    .describe('bytes of request bodies held at once; too high risks memory, too low refuses large uploads in a burst'),
  MIN_UPLOAD_BYTES_PER_S: wholeNumber(1, GIB)
    .default(1024)
    .describe('a body that arrives more slowly, over 5 s, is refused; too high refuses poor connections'),
  // The upper bound is above the memory of any host.
  MAX_DECODE_BYTES: wholeNumber(1, 1024 * GIB)
    .default(1024 * 1024 * 1024)
    .describe(
      'bytes of memory for decoding all pictures together that need more than 64 MiB each; such pictures wait for each other, and one that needs more than this limit is refused',
    ),
  DECODE_TIMEOUT_MS: wholeNumber(1, MOST_MS)
    .default(10_000)
    .describe('a picture that takes longer to decode is refused; too low refuses large ones on busy hosts'),
  API_KEYS: z
    .string()
    .default('')
    // No client can send spaces at the ends; a secret that comes from a file often has a line feed there.
    .transform((text) => text.split(',').flatMap((key) => key.trim() || []))
    .pipe(z.array(z.string().min(16)))
    .describe(
      'API keys, separated by commas, at least 16 characters each; a client sends its own as X-Api-Key or Authorization: Bearer',
    ),
  API_KEYS_FILE: z
    .string()
    .min(1)
    .optional()
    .describe(
      'file of further API keys: a line name:sha256 for each, with the SHA-256 of the key in hexadecimal digits (printf %s "$KEY" | sha256sum); lines that begin with # are comments. It is read again when it has changed; a file that cannot be used is reported, and the keys from before still count',
    ),
  REQUIRE_API_KEY: z
    .enum(['true', 'false'])
    .default('false')
    .transform((text) => text === 'true')
    .describe(
      'true: requests without a key of API_KEYS or API_KEYS_FILE are refused with 401, except for /healthz, /readyz and the files of the page. On every port',
    ),
  // The upper bound is above what one process can answer.
  QUOTA_PER_MINUTE: wholeNumber(1, 10_000_000)
    .optional()
    .describe(
      'requests to run pictures a minute for each API key, or for each address without one; so many can come at once after a pause. Unset: no limit',
    ),
  // The largest integer that the header RateLimit-Policy can have (RFC 9651, 3.3.1).
  QUOTA_FLOPS_PER_MINUTE: wholeNumber(1, 999_999_999_999_999)
    .optional()
    .describe(
      'FLOPs a minute for each API key, or for each address without one. What ran is charged afterwards, and a client is refused until its balance is above 0 again. Unset: no limit',
    ),
  TRUST_PROXY: z
    .string()
    .superRefine(areProxies)
    .default('')
    .describe(
      `addresses of proxies, separated by commas, whose X-Forwarded-For is believed: IP addresses, ranges such as 10.0.0.0/8, or ${PROXIES.join(', ')}. Too wide a range lets clients invent addresses, and so quotas; empty: none`,
    ),
  SHADOW_SHARE: share
    .default(0)
    .describe('share of cheap answers run again on full when idle, for dimmer_agreement_ratio; costs idle CPU'),
  // The upper bound is above what any host answers in 1.5 s, the time limit of the rehearsal.
  REHEARSAL_REQUESTS: wholeNumber(0, 100_000)
    .default(600)
    .describe('generated pictures that warm up the service before it is ready, for 1.5 s at most; 0: none'),
  CORS_ORIGINS: z
    .string()
    .default('')
    .transform((text) => text.split(',').flatMap((origin) => origin.trim() || []))
    .pipe(z.array(z.string().superRefine(isOrigin)))
    .describe('origins whose pages may use the service from a browser, separated by commas; *: any; empty: none'),
  PLAYGROUND: z
    .enum(['on', 'off'])
    .default('on')
    .describe('the page at / to try the service and watch it, and /live, which feeds it; off: / leads to /docs'),
  LOAD_BUTTON: z
    .enum(['on', 'auto'])
    .default('auto')
    .describe(
      'to whom that page offers to send a burst of requests. auto: browsers on this machine; on: everybody. It is no protection, as all clients of /classify can send bursts anyway',
    ),
  // The upper bound is the number of file descriptors that a process may have on most hosts.
  MAX_CONNECTIONS: wholeNumber(1, 1_000_000)
    .default(4096)
    .describe(
      'connections at once; beyond that a new one closes the longest idle one (gRPC: is refused). Too low closes connections that ' +
        'proxies keep open, too high risks memory (some 20 kB each) and file descriptors',
    ),
  REQUEST_TIMEOUT_MS: wholeNumber(1, MOST_MS).default(30_000).describe('time for a client to send its whole request'),
  DRAIN_DELAY_MS: wholeNumber(0, MOST_MS)
    .default(5000)
    .describe(
      'time after SIGTERM for which /readyz says no but requests are still served, until every balancer has noticed: longer than its checks take to fail. Too low fails requests when a replica is replaced, too high delays that. None after SIGINT (Ctrl-C)',
    ),
  DRAIN_TIMEOUT_MS: wholeNumber(1, MOST_MS)
    .default(20_000)
    .describe(
      'time from SIGTERM to the end of the process, DRAIN_DELAY_MS included; requests that have no answer shortly before ' +
        'its end are refused. Keep it some 10 s below the time that the orchestrator waits (Kubernetes: 30 s)',
    ),
  CACHE_DIR: z
    .string()
    .min(1)
    .optional()
    .describe(
      'folder in which graphs optimised for this host (about twice the size of all families) and its measured latency are kept between starts; it has to belong to the user of the service, and other users must not be able to write in it. Without such a folder weights are not shared, and networks take much more memory. Default: dimmer in XDG_CACHE_HOME or in ~/.cache, or dimmer-cache-<user number> in the temporary folder if there is no home',
    ),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('pino level'),
  ...tracingSettings,
});

/** Removed settings of earlier versions -> what to use instead, for a warning at start. */
export const REMOVED: Readonly<Record<string, string>> = {
  SERVE_INSTANCES: 'the frontier is served, and any other instance can be pinned (instance=ID in the query)',
};

/** Settings whose values are never shown, neither in the log nor in errors. */
export const SECRET: ReadonlySet<string> = new Set(['API_KEYS', 'OTEL_EXPORTER_OTLP_HEADERS']);

/** User and password in a URL, which no setting may have, and errors must not show. */
const PASSWORD = /\/\/[^/@]*@/g;

type Environment = z.infer<typeof configSchema>;

export interface Config extends Readonly<Omit<Environment, 'ENGINE_THREADS' | 'CACHE_DIR'>> {
  readonly ENGINE_THREADS: number;
  readonly CACHE_DIR: string;
  /** CPUs that this process may use, by affinity mask and cgroup quota, rounded down; at least 1. */
  readonly CPUS: number;
}

/**
 * Reads and checks all settings. Unknown variables are ignored; empty ones count as missing. Raises StartError that
 * names every invalid variable.
 */
export function readConfig(environment: Record<string, string | undefined>): Config {
  const ours = Object.keys(configSchema.shape).flatMap((key) => {
    const value = environment[key];
    return value === undefined || (value === '' && key !== 'DEFAULT_BUDGET') ? [] : [[key, value]];
  });
  const parsed = configSchema.safeParse(Object.fromEntries(ours));
  if (!parsed.success) {
    const lines = parsed.error.issues.map((i) => {
      const key = String(i.path[0]);
      const meaning = configSchema.shape[key as keyof Environment].description;
      const value = SECRET.has(key) ? '(secret)' : environment[key]?.replace(PASSWORD, '//(secret)@');
      return `${key}=${value}: ${i.message} (${meaning})`;
    });
    throw new StartError(`the environment cannot be used:\n${lines.join('\n')}`);
  }
  const cpus = Math.max(1, Math.floor(Math.min(availableParallelism(), cgroupCpus())));
  const { ENGINE_THREADS, ONNX_THREADS, EXECUTION_PROVIDER, CACHE_DIR } = parsed.data;
  const threads = EXECUTION_PROVIDER === 'cuda' ? 1 : Math.max(1, Math.floor(cpus / ONNX_THREADS));
  const config = {
    ...parsed.data,
    ENGINE_THREADS: ENGINE_THREADS ?? threads,
    CACHE_DIR: CACHE_DIR ?? defaultCacheFolder(environment),
    CPUS: cpus,
  };
  checkThreads(config);
  checkKeys(config);
  checkDraining(config);
  return Object.freeze(config);
}

function checkThreads({ ENGINE_THREADS, ONNX_THREADS, CPUS }: Config): void {
  const most = MOST_THREADS_OF_A_CPU * CPUS;
  if (ENGINE_THREADS * ONNX_THREADS <= most) return;
  throw new StartError(
    `ENGINE_THREADS=${ENGINE_THREADS} x ONNX_THREADS=${ONNX_THREADS}: expected at most ${most} together, ${MOST_THREADS_OF_A_CPU} for each CPU that this process may use (${CPUS}); best is one for each`,
  );
}

function checkKeys({ REQUIRE_API_KEY, API_KEYS, API_KEYS_FILE }: Config): void {
  if (REQUIRE_API_KEY && API_KEYS.length === 0 && API_KEYS_FILE === undefined) throw new StartError(NO_KEYS);
}

function checkDraining({ DRAIN_DELAY_MS, DRAIN_TIMEOUT_MS }: Config): void {
  if (DRAIN_DELAY_MS < DRAIN_TIMEOUT_MS) return;
  throw new StartError(
    `DRAIN_DELAY_MS=${DRAIN_DELAY_MS}: expected less than DRAIN_TIMEOUT_MS=${DRAIN_TIMEOUT_MS}, or no time would be left for the requests that were accepted`,
  );
}

/** Why the service does not start. */
export const NO_KEYS =
  'REQUIRE_API_KEY=true, and there is no key, so nobody could use the service: expected keys in API_KEYS_FILE or in API_KEYS';
