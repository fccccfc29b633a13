/**
 * Rolling restart: three replicas of the built service behind HAProxy, which are sent SIGTERM and replaced, one after
 * another and again and again, while clients with kept-alive connections send small pictures, each its next one after an
 * answer.
 *
 * npm run build && npm run bench:rolling -- --out bench/results/rolling.json        (needs haproxy: apt-get install haproxy)
 *
 * No request may fail: every answer is 200, HAProxy sends nothing a second time, and every replica ends by itself, within
 * DRAIN_TIMEOUT_MS and with status 0. Exit status 1 if that is not so. --drain-delay 0 shows what the delay is for.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { z } from 'zod';
import { readConfig } from '../../src/config.js';
import type { TimedAnswer } from '../../src/load/answer.js';
import { Client } from '../../src/load/client.js';
import { positive } from '../options.js';
import { type ServiceProcess, startService, stop } from '../service.js';
import { circumstances, progress, writeResult } from '../support.js';
import { Haproxy, versionOfHaproxy } from './haproxy.js';
import { type Restart, verdictOf } from './verdict.js';

const FAMILY = 'cifar10';
/** Cheap requests, so that replicas which start beside them leave CPU for answers. No latency: none is refused for it. */
const BUDGET = 'cost=0.35';
const SAMPLES = ['cat.jpg', 'coffee.jpg', 'rocket.jpg'];
/** Sides of the pictures in pixels: that of the family's input, so that decoding costs little. */
const SIDE = 32;
/** Far above what an answer takes, and below HAProxy's own time limit. */
const TIMEOUT_MS = 30_000;
/** A replica is out after two seconds, less than DRAIN_DELAY_MS. */
const CHECKS = { checkMs: 1000, fall: 2 };
/** Two for each replica: all are busy, and two replicas have room for what three had. */
const CLIENTS = 6;
/** Requests go on for this time after the last restart: many answers of the last replica, too. */
const LAST_MS = 2000;

const whole = z.coerce.number().int().nonnegative();
const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    port: { type: 'string', default: '8300' },
    models: { type: 'string', default: 'models' },
    'drain-delay': { type: 'string', default: String(readConfig({}).DRAIN_DELAY_MS) },
    out: { type: 'string' },
  },
});
const options = {
  requests: positive.int().parse(values.requests),
  /** Of HAProxy; its figures are on the next one, and the replicas on those after it. */
  port: positive.int().parse(values.port),
  drainDelayMs: whole.parse(values['drain-delay']),
};
const { DRAIN_TIMEOUT_MS } = readConfig({});
const replicas = [1, 2, 3].map((n) => ({ name: `replica${n}`, port: options.port + 1 + n }));
const folder = mkdtempSync(join(tmpdir(), 'dimmer-rolling-'));

/** The samples in the size of the family's input. */
async function smallPictures(): Promise<{ file: string }[]> {
  return Promise.all(
    SAMPLES.map(async (name) => {
      const file = join(folder, name);
      await sharp(fileURLToPath(new URL(`../../docs/examples/${name}`, import.meta.url)))
        .resize(SIDE, SIDE)
        .jpeg()
        .toFile(file);
      return { file };
    }),
  );
}

/** All replicas share the cache, so that only the first start of all measures. */
const start = (port: number): Promise<ServiceProcess> =>
  startService({
    PORT: String(port),
    MODELS_DIR: values.models,
    DEFAULT_MODEL: FAMILY,
    CACHE_DIR: join(folder, 'cache'),
    ENGINE_THREADS: '1',
    DRAIN_DELAY_MS: String(options.drainDelayMs),
    LOG_LEVEL: 'info',
  });

/** Replaces one replica after another until `over`; the last round is finished. nowMs: from the first request. */
async function restartAll(
  running: ServiceProcess[],
  balancer: Haproxy,
  over: () => boolean,
  nowMs: () => number,
): Promise<Restart[]> {
  const restarts: Restart[] = [];
  while (!over()) {
    for (const [index, { name, port }] of replicas.entries()) {
      const { child } = running[index] as ServiceProcess;
      const atMs = nowMs();
      const ended = once(child, 'exit') as Promise<[number | null]>;
      child.kill('SIGTERM');
      const [exitCode] = await ended;
      const endedMs = nowMs() - atMs;
      await balancer.until(name, false);
      const againMs = nowMs();
      running[index] = await start(port);
      await balancer.until(name, true);
      restarts.push({ replica: name, atMs, endedMs, exitCode, backMs: nowMs() - againMs });
    }
  }
  return restarts;
}

/** Clients send as long as replicas are replaced, and at least so many requests. */
async function measure(running: ServiceProcess[], balancer: Haproxy) {
  const client = new Client({
    url: `http://127.0.0.1:${options.port}`,
    path: `/classify?${new URLSearchParams({ model: FAMILY, top: '1' })}`,
    headers: { 'Inference-Budget': BUDGET },
    pictures: await smallPictures(),
    timeoutMs: TIMEOUT_MS,
  });
  const records: TimedAnswer[] = [];
  const startMs = performance.now();
  const nowMs = () => performance.now() - startMs;
  const bar = progress('answers', options.requests);
  let [sent, over] = [0, false];
  const keepSending = async () => {
    while (!over) {
      const scheduledMs = nowMs();
      const answer = await client.post(sent++);
      records.push({ ...answer, scheduledMs, lagMs: 0 });
      bar.step();
    }
  };
  const sending = Promise.all(Array.from({ length: CLIENTS }, keepSending));
  try {
    const restarts = await restartAll(running, balancer, () => records.length >= options.requests, nowMs);
    await sleep(LAST_MS);
    return { records, restarts };
  } finally {
    over = true;
    await sending;
    bar.stop();
    await client.close();
  }
}

const haproxy = versionOfHaproxy();
const running: ServiceProcess[] = [];
let balancer: Haproxy | undefined;
try {
  for (const { port } of replicas) running.push(await start(port));
  balancer = await Haproxy.start({ port: options.port, replicas, ...CHECKS }, folder);
  for (const { name } of replicas) await balancer.until(name, true);
  const { records, restarts } = await measure(running, balancer);
  const seconds = (records.at(-1)?.scheduledMs ?? Number.NaN) / 1000;
  const verdict = verdictOf(records, restarts, {
    leastRequests: options.requests,
    drainTimeoutMs: DRAIN_TIMEOUT_MS,
    replicas: replicas.map(({ name }) => name),
  });
  const figures = await balancer.figures();
  console.table(restarts);
  console.log(`${verdict.failed} of ${verdict.requests} requests failed`, verdict.outcomes);
  for (const wrong of verdict.wrong) console.log(`WRONG ${wrong}`);
  writeResult(values.out, {
    bench: 'rolling',
    ...circumstances(),
    family: FAMILY,
    budget: BUDGET,
    side: SIDE,
    replicas: replicas.length,
    engineThreads: 1,
    clients: CLIENTS,
    seconds,
    ratePerS: records.length / seconds,
    drainDelayMs: options.drainDelayMs,
    drainTimeoutMs: DRAIN_TIMEOUT_MS,
    haproxy: { version: haproxy, retries: 0, ...CHECKS },
    ...verdict,
    restarts,
    requestsByReplica: Object.fromEntries(Object.entries(figures).map(([name, { sessions }]) => [name, sessions])),
  });
  process.exitCode = verdict.wrong.length > 0 ? 1 : 0;
} finally {
  await balancer?.stop();
  await Promise.all(running.map(({ child }) => stop(child)));
  rmSync(folder, { recursive: true, force: true });
}
