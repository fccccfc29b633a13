/** The environment, read once through one schema into one frozen object. `.env.example` is made from here. */
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { StartError } from './errors.js';
import { cgroupCpus } from './runtime/cpus.js';

const port = z.coerce.number().int().min(0).max(65535);
const positive = z.coerce.number().int().positive();

/** What a browser sends as Origin: scheme, host and a port that is not the scheme's own (RFC 6454, 6.2). */
function isOrigin(text: string, context: z.RefinementCtx): void {
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  const web = parsed?.protocol === 'http:' || parsed?.protocol === 'https:';
  const right = text.includes('*')
    ? undefined
    : web
      ? parsed.origin
      : /^[a-z][a-z\d+.-]*:\/\/[^\s/,]+$/.test(text)
        ? text
        : undefined;
  if (text === '*' || text === right) return;
  const expected = right === undefined ? 'such as https://example.com' : right;
  context.addIssue({ code: 'custom', message: `${text} is no origin as browsers send it; expected ${expected}` });
}

/** Each key: default and, for people, what too low and too high a value does. */
export const configSchema = z.object({
  PORT: port.default(8080).describe('port of the service; 0 takes any free one'),
  HOST: z.string().min(1).default('0.0.0.0').describe('address to listen on'),
  ADMIN_PORT: port.optional().describe('if set, /metrics moves from PORT to this port'),
  MODELS_DIR: z.string().min(1).default('models').describe('folder of families; each is a folder with a manifest.json'),
  DEFAULT_MODEL: z
    .string()
    .min(1)
    .optional()
    .describe('family used when a request names none; default: the only one, or imagenet1k if it is there'),
  DEFAULT_BUDGET: z
    .string()
    .default('')
    .describe('Inference-Budget of requests that bring none; empty: the most accurate instance, no deadline'),
  SERVE_INSTANCES: z
    .enum(['frontier', 'all'])
    .default('frontier')
    .describe('serve the instances worth having on this host, or every one'),
  EXECUTION_PROVIDER: z
    .enum(['cpu', 'cuda'])
    .default('cpu')
    .describe('device of the engine threads; cuda that cannot be had is an error at start'),
  ENGINE_THREADS: positive
    .optional()
    .describe('threads that run the network; default: the CPUs we may use (cuda: 1). Too many slow each other down'),
  ONNX_THREADS: positive
    .default(1)
    .describe('threads inside one run; more lowers latency and throughput. ENGINE_THREADS x ONNX_THREADS <= CPUs'),
  MAX_QUEUE: positive
    .default(256)
    .describe('pictures admitted and not yet running; too low refuses short bursts, too high lets answers get old'),
  MAX_IMAGE_BYTES: positive.default(20 * 1024 * 1024).describe('bytes of one encoded picture'),
  MAX_IMAGE_PIXELS: positive.default(50_000_000).describe('width x height of one picture, checked before decoding'),
  MAX_IMAGES: positive.default(16).describe('pictures in one request'),
  MAX_WAITING_BYTES: positive
    .default(512 * 1024 * 1024)
    .describe('bytes of request bodies held at once; too high risks memory, too low refuses large uploads in a burst'),
  API_KEYS: z
    .string()
    .default('')
    .transform((text) => text.split(',').filter((key) => key !== ''))
    .pipe(z.array(z.string().min(16)))
    .describe('API keys, separated by commas, at least 16 characters each; a client sends its own as X-Api-Key'),
  QUOTA_PER_MINUTE: positive
    .optional()
    .describe('requests to /classify a minute for each API key, or for each address without one; unset: no limit'),
  SHADOW_SHARE: z.coerce
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe('share of cheap answers run again on full when idle, for dimmer_agreement_ratio; costs idle CPU'),
  REHEARSAL_REQUESTS: z.coerce
    .number()
    .int()
    .min(0)
    .default(600)
    .describe('generated pictures that go through the whole service before it is ready, for 5 s at most; 0: none'),
  CORS_ORIGINS: z
    .string()
    .default('')
    .transform((text) => text.split(',').flatMap((origin) => origin.trim() || []))
    .pipe(z.array(z.string().superRefine(isOrigin)))
    .describe('origins whose pages may use the service from a browser, separated by commas; *: any; empty: none'),
  MAX_CONNECTIONS: positive
    .default(4096)
    .describe(
      'connections at once; the one without a request for longest gives way to a new one. Too low closes those that ' +
        'proxies keep, too high risks memory (some 20 kB each) and file descriptors',
    ),
  REQUEST_TIMEOUT_MS: positive.default(30_000).describe('time for a client to send its whole request'),
  DRAIN_TIMEOUT_MS: positive
    .default(20_000)
    .describe(
      'time to finish what was accepted after SIGTERM; then the rest is refused. Keep it some 10 s below what the ' +
        'orchestrator waits (Kubernetes: 30 s)',
    ),
  CACHE_DIR: z
    .string()
    .min(1)
    .default(join(tmpdir(), 'dimmer-cache'))
    .describe('where latency measured on this host is kept between starts'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('pino level'),
});

/** Never shown, neither in the log nor in an error. */
export const SECRET: ReadonlySet<string> = new Set(['API_KEYS']);

type Environment = z.infer<typeof configSchema>;

export interface Config extends Readonly<Omit<Environment, 'ENGINE_THREADS'>> {
  readonly ENGINE_THREADS: number;
  /** CPUs this process may use, by affinity and cgroup quota. */
  readonly CPUS: number;
}

/** Raises StartError that names every bad variable. Variables that are not ours are ignored; an empty one is unset. */
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
      const value = SECRET.has(key) ? '(secret)' : environment[key];
      return `${key}=${value}: ${i.message} (${meaning})`;
    });
    throw new StartError(`the environment cannot be used:\n${lines.join('\n')}`);
  }
  const cpus = Math.min(availableParallelism(), cgroupCpus());
  const threads =
    parsed.data.EXECUTION_PROVIDER === 'cuda' ? 1 : Math.max(1, Math.floor(cpus / parsed.data.ONNX_THREADS));
  return Object.freeze({ ...parsed.data, ENGINE_THREADS: parsed.data.ENGINE_THREADS ?? threads, CPUS: cpus });
}

/** The text of .env.example: every key with its default and what it means. */
export function exampleEnvironment(): string {
  const lines = Object.entries(configSchema.shape).map(([key, schema]) => {
    const standard = schema.safeParse(undefined).data;
    return `# ${schema.description}\n# ${key}=${key === 'CACHE_DIR' ? '<temporary folder>/dimmer-cache' : (standard ?? '')}\n`;
  });
  return `# Settings of the service, all optional; what is shown is the default.\n\n${lines.join('\n')}`;
}
