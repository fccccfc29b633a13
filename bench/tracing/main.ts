/**
 * What traces cost: throughput of a service that sends all traces to a collector, relative to one that sends none.
 *
 * npm run bench:tracing -- --out bench/results/tracing-cifar10.json
 *
 * Both services run all the time, and the load generator turns from one to the other, in an order that changes with each
 * round. A request is one small picture, so that a trace has as little work as possible to be compared with. The collector
 * runs on the same CPUs, which counts against the traces. Exit status 1 if a ratio is below LIMIT, or if spans were lost:
 * those that are not sent cost less.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { loadFamily } from '../../src/family/load.js';
import { generate } from '../load/generate.js';
import { readMetrics, since, total } from '../load/metrics.js';
import { CONNECTIONS, readModel, served, TIMEOUT_MS } from '../load/setup.js';
import { positive } from '../options.js';
import { compile, type ServiceProcess, startService, stop } from '../service.js';
import { circumstances, progress, versionOf, writeResult } from '../support.js';
import { spread } from '../virtual/summary.js';

/** Lowest allowed throughput with traces, relative to that without. */
const LIMIT = 0.98;

const { values: options } = parseArgs({
  options: {
    picture: { type: 'string', default: 'docs/examples/cat.jpg' },
    family: { type: 'string', default: 'cifar10' },
    models: { type: 'string', default: 'models' },
    seconds: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '10' },
    out: { type: 'string' },
  },
});
const ms = 1000 * positive.parse(options.seconds);
const rounds = positive.int().parse(options.rounds);
const family = await loadFamily(join(options.models, options.family));

const folder = mkdtempSync(join(tmpdir(), 'dimmer-tracing-'));
const file = join(folder, 'picture.png');

/** A collector that takes everything and keeps nothing. */
async function startCollector() {
  const server = createServer((request, response) => request.resume().once('end', () => response.end()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

interface Rate {
  readonly answersPerS: number;
  /** CPU time of the service's main process, all threads, for each answer. */
  readonly cpuMs: number;
  /** Spans for each answer, and those lost; 0 without traces. */
  readonly spans: number;
  readonly lost: number;
}

async function measure({ url }: ServiceProcess, instance: string): Promise<Rate> {
  const before = await readMetrics(url);
  const { closedPerS } = await generate({
    url,
    path: `/classify?model=${family.name}&top=1&instance=${instance}`,
    headers: {},
    closedHeaders: {},
    pictures: [{ file, label: 0 }],
    closed: { connections: CONNECTIONS, ms },
    arrivalsMs: [],
    timeoutMs: TIMEOUT_MS,
  });
  const samples = since(before, await readMetrics(url));
  const answers = total(samples, 'dimmer_requests_total', { status: '200' });
  const spans = (event: string) => total(samples, 'dimmer_trace_spans_total', { event });
  return {
    answersPerS: closedPerS,
    cpuMs: (1000 * total(samples, 'process_cpu_seconds_total')) / answers,
    spans: spans('sent') / answers,
    lost: spans('dropped') + spans('failed'),
  };
}

interface Round {
  readonly off: Rate;
  readonly on: Rate;
  readonly ratio: number;
}

/** One round: both services, each first in every other round. */
async function round(n: number, off: ServiceProcess, on: ServiceProcess, instance: string): Promise<Round> {
  const early = n % 2 === 0 ? await measure(off, instance) : undefined;
  const traced = await measure(on, instance);
  const plain = early ?? (await measure(off, instance));
  return { off: plain, on: traced, ratio: traced.answersPerS / plain.answersPerS };
}

async function compare(instance: string, off: ServiceProcess, on: ServiceProcess) {
  const bar = progress(instance, rounds);
  const all: Round[] = [];
  for (const service of [off, on]) await measure(service, instance); // warms up
  for (let n = 0; n < rounds; n++) {
    all.push(await round(n, off, on, instance));
    bar.step();
  }
  bar.stop();
  return { instance, ratio: spread(all.map((r) => r.ratio)), rounds: all };
}

compile();
writeFileSync(file, await sharp(options.picture).resize(family.width, family.height).png().toBuffer());
const collector = await startCollector();
const environment = { CACHE_DIR: join(folder, 'cache'), MODELS_DIR: options.models };
const services: ServiceProcess[] = [];
try {
  const off = await startService(environment);
  services.push(off);
  const on = await startService({ ...environment, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  services.push(on);
  const instances = served(await readModel(off.url, family.name)).map((i) => i.id);
  const comparisons = [];
  // They come cheapest first: what is traced takes least and most.
  for (const instance of [instances.at(-1), instances[0]]) comparisons.push(await compare(instance as string, off, on));
  for (const { instance, ratio, rounds } of comparisons) {
    console.log(`${instance}: ${ratio.mean.toFixed(3)} (sd ${ratio.sd.toFixed(3)} of ${rounds.length} rounds)`);
    console.table(rounds.map(({ off, on, ratio }) => ({ ratio, off: off.answersPerS, on: on.answersPerS, ...on })));
  }
  const { name, version } = family;
  const facts = { model: name, modelVersion: version, limit: LIMIT, connections: CONNECTIONS, seconds: ms / 1000 };
  const library = versionOf('@opentelemetry/sdk-trace-base');
  writeResult(options.out, { bench: 'tracing', ...circumstances(), opentelemetry: library, ...facts, comparisons });
  const right = comparisons.every(({ ratio, rounds }) => ratio.mean >= LIMIT && rounds.every((r) => r.on.lost === 0));
  process.exitCode = right ? 0 : 1;
} finally {
  for (const { child } of services) await stop(child);
  collector.server.close();
  collector.server.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
}
