/**
 * Warms up the JavaScript code by sending generated requests through the whole service before it is ready. V8 compiles
 * code after some hundred calls. Until then a request takes several times as long, so that a service started under load
 * would refuse requests for seconds.
 */
import { Agent, request } from 'node:http';
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import type { Config } from './config.js';
import { messageOf } from './errors.js';
import type { Family, Instance } from './family/instance.js';
import { createServer } from './http/server.js';
import { type Service, State } from './http/state.js';
import type { Clock } from './scheduler/clock.js';
import { createMetrics, type Metrics } from './telemetry/metrics.js';

/** Requests at the same time. */
const AT_ONCE = 16;
/** The requests of the rehearsal bring no key, and count for nobody. */
const OPEN_TO_ITSELF = {
  API_KEYS: [],
  API_KEYS_FILE: undefined,
  REQUIRE_API_KEY: false,
  QUOTA_PER_MINUTE: undefined,
  QUOTA_FLOPS_PER_MINUTE: undefined,
};
/** Time limit, so that a start does not take long. docs/benchmarks.md compares starts with and without a rehearsal. */
const TIME_BOX_MS = 1_500;

/**
 * Sends REHEARSAL_REQUESTS pictures to a second server with the same code, on a random port of the loopback address. It
 * has metrics, queue and quotas of its own, so that the rehearsal does not show in those of the service. A failure is
 * only logged. samplePicture: encodes a generated JPEG. makeService: makes a service that shares only the engine
 * threads and decoding processes with the real one.
 */
export async function rehearse(
  config: Config,
  clock: Clock,
  logger: Logger,
  samplePicture: (width: number, height: number) => Promise<Uint8Array>,
  makeService: (metrics: Metrics) => Service,
): Promise<void> {
  if (config.REHEARSAL_REQUESTS === 0) return;
  const startMs = clock.now();
  const metrics = createMetrics({ ofProcess: false });
  const state = new State({ ...config, ...OPEN_TO_ITSELF }, clock, metrics);
  const service = makeService(metrics);
  state.service = service;
  const server = await createServer(state, logger.child({}, { level: 'silent' }));
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  try {
    const url = await server.listen({ host: '127.0.0.1', port: 0 });
    const { family, instance } = quickest(service);
    const body = await samplePicture(2 * family.width, 2 * family.height);
    const query = new URLSearchParams({ model: family.name, instance: instance.id });
    const endMs = startMs + TIME_BOX_MS;
    const limit = pLimit(AT_ONCE);
    await Promise.all(
      Array.from({ length: config.REHEARSAL_REQUESTS }, () =>
        limit(async () => {
          if (clock.now() > endMs) return;
          await post(`${url}/classify?${query}`, body, agent);
        }),
      ),
    );
    logger.info({ ms: Math.round(clock.now() - startMs) }, 'rehearsed');
  } catch (error) {
    logger.warn({ error: messageOf(error) }, 'no rehearsal: the first answers will be slow');
  } finally {
    agent.destroy();
    await server.close();
    service.scheduler.close(); // else the engine would call its listeners as long as the process lives
  }
}

/** The cheapest instance of all families: the number of requests matters here, and networks are warm already. */
function quickest({ catalog }: Service): { family: Family; instance: Instance } {
  const all = catalog.families.flatMap(({ family, instances }) => instances.map((instance) => ({ family, instance })));
  return all.reduce((a, b) => (b.instance.flops < a.instance.flops ? b : a));
}

/** Sends a picture and reads the answer to its end. The status does not matter: a refusal warms up code as well. */
const post = (url: string, body: Uint8Array, agent: Agent): Promise<void> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent, headers: { 'Inference-Budget': 'latency=1000' } }, (answer) => {
      answer.on('end', resolve).on('error', reject).resume();
    });
    sent.on('error', reject).end(body);
  });
