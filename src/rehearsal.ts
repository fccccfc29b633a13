/**
 * Ready means warm: what a request goes through has run before the first one comes. Code is compiled after some hundred
 * calls; until then a request takes several times as long, and a service that starts under load refuses for seconds.
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

const AT_ONCE = 16;
/** No start should wait longer; docs/benchmarks.md has starts with a rehearsal and without. */
const TIME_BOX_MS = 1_500;

/**
 * Sends generated pictures through a server of its own, on the loopback and on a port that nobody knows, which shares the
 * code with the real one and neither its metrics, its queue nor its quotas. If it fails,
 * the log says so and that is all. samplePicture: a JPEG of noise. makeService: on the threads of the real one, with everything else its own.
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
  const state = new State({ ...config, QUOTA_PER_MINUTE: undefined }, clock, metrics);
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
    service.scheduler.close(); // or it would be told of every idle thread as long as the process lives
  }
}

/** The cheapest instance of all: code is compiled by how often it runs, and networks are warm already. */
function quickest({ catalog }: Service): { family: Family; instance: Instance } {
  const all = catalog.families.flatMap(({ family, instances }) => instances.map((instance) => ({ family, instance })));
  return all.reduce((a, b) => (b.instance.flops < a.instance.flops ? b : a));
}

/** The answer is read to its end and not looked at: a refusal warms what it goes through as well. */
const post = (url: string, body: Uint8Array, agent: Agent): Promise<void> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent, headers: { 'Inference-Budget': 'latency=1000' } }, (answer) => {
      answer.on('end', resolve).on('error', reject).resume();
    });
    sent.on('error', reject).end(body);
  });
