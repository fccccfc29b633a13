/**
 * Latency of /healthz while all engine threads and decoding processes are busy.
 *
 * npm run build && npm run bench:health -- --out bench/results/health.json
 *
 * Starts the built service and requests /healthz a hundred times a second. In every other round two other processes
 * load the service, one with small pictures (engine threads) and one with photographs of 12 megapixels (decoding). Load
 * and probe stand for other machines, so the load runs at low priority and the probe at real-time priority. Exit status
 * 1 if p99 of a busy round is not below LIMIT_MS. With --service FOLDER the service of another built checkout takes
 * turns, for comparison; its rounds are `others` in the result.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import os, { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { runRealTime } from '../priority.js';
import { startService, stop } from '../service.js';
import { circumstances, progress, writeResult } from '../support.js';

const LIMIT_MS = 10; // largest allowed p99: /healthz does nothing, so its latency is the delay of the event loop
const INTERVAL_MS = 10;

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '20' },
    service: { type: 'string' },
    out: { type: 'string' },
  },
});
const folder = mkdtempSync(join(tmpdir(), 'dimmer-bench-'));

/** Starts a process that keeps `connections` requests with this picture in flight. */
function load(url: string, picture: string, connections: number): ChildProcess {
  const script = fileURLToPath(new URL('load.ts', import.meta.url));
  const child = spawn(process.execPath, [...process.execArgv, script, url, picture, String(connections)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  // Real clients are on other machines; this one must not take CPU from the service.
  os.setPriority(child.pid as number, os.constants.priority.PRIORITY_BELOW_NORMAL);
  return child;
}

/** Milliseconds from the request to the end of the answer, on a new connection. */
function healthMs(url: string): Promise<number> {
  const startMs = performance.now();
  return new Promise((resolve, reject) => {
    get(`${url}/healthz`, { agent: false }, (response) => {
      response.resume();
      response.once('end', () => {
        if (response.statusCode === 200) resolve(performance.now() - startMs);
        else reject(new Error(`/healthz answered ${response.statusCode}`));
      });
    }).once('error', reject);
  });
}

/**
 * Latencies of /healthz in microseconds, in an open loop: requests are sent at fixed times, also while answers are
 * slow.
 */
async function probe(url: string, seconds: number): Promise<RecordableHistogram> {
  const histogram = createHistogram();
  const pending: Promise<void>[] = [];
  const startMs = performance.now();
  for (let i = 0; i < (seconds * 1000) / INTERVAL_MS; i++) {
    await sleep(Math.max(0, startMs + i * INTERVAL_MS - performance.now()));
    pending.push(healthMs(url).then((ms) => histogram.record(Math.max(1, Math.round(ms * 1000)))));
  }
  await Promise.all(pending);
  return histogram;
}

/** Number of requests answered with 200 so far, from the service's metrics. */
async function classified(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^dimmer_requests_total\{status="200"[^}]*\} (\d+)/m.exec(text)?.[1] ?? 0);
}

const figures = (h: RecordableHistogram) => ({
  n: h.count,
  p50Ms: h.percentile(50) / 1000,
  p99Ms: h.percentile(99) / 1000,
  maxMs: h.max / 1000,
});

async function busyRound(url: string, seconds: number) {
  const loads = [load(url, small, 16), load(url, large, 8)];
  try {
    await sleep(3000); // until the load is steady
    const before = await classified(url);
    const histogram = await probe(url, seconds);
    const answered = (await classified(url)) - before;
    return { load: 'busy', ...figures(histogram), picturesPerSecond: answered / seconds };
  } finally {
    await Promise.all(loads.map(stop));
  }
}

const small = join(folder, 'small.png');
const large = join(folder, 'large.jpg');
const noise = (width: number, height: number) =>
  sharp({
    create: { width, height, channels: 3, background: 'grey', noise: { type: 'gaussian', mean: 128, sigma: 40 } },
  });
writeFileSync(small, await noise(32, 32).png().toBuffer());
writeFileSync(large, await noise(4000, 3000).blur(3).jpeg().toBuffer());

const roots = [undefined, ...(options.service ? [resolve(options.service)] : [])];
const services = [];
for (const [n, root] of roots.entries()) {
  const build = root === undefined ? {} : { root };
  services.push(await startService({ CACHE_DIR: join(folder, `cache-${n}`) }, undefined, build));
}
const probeRuns = runRealTime();
/** Of each service. */
const all: ({ load: string; p99Ms: number } & object)[][] = services.map(() => []);
try {
  const [count, seconds] = [Number(options.rounds), Number(options.seconds)];
  const bar = progress('health', 2 * count * services.length);
  for (let round = 0; round < count; round++) {
    for (const [n, { url }] of services.entries()) {
      all[n]?.push({ load: 'idle', ...figures(await probe(url, seconds)) });
      bar.step();
      all[n]?.push(await busyRound(url, seconds));
      bar.step();
    }
  }
  bar.stop();
} finally {
  for (const { child } of services) await stop(child);
  rmSync(folder, { recursive: true, force: true });
}
const [rounds = [], ...others] = all;
for (const of of all) console.table(of);
const slow = rounds.filter((r) => r.load === 'busy' && r.p99Ms >= LIMIT_MS);
console.log(
  slow.length === 0 ? `p99 below ${LIMIT_MS} ms in every busy round` : `p99 too high in ${slow.length} rounds`,
);
writeResult(options.out, {
  bench: 'health',
  ...circumstances(),
  limitMs: LIMIT_MS,
  intervalMs: INTERVAL_MS,
  probeRuns,
  rounds,
  ...(others.length > 0 && { others: others[0] }),
});
process.exitCode = slow.length === 0 ? 0 : 1;
