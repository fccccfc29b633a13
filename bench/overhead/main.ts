/**
 * Overhead of the service: its throughput with the instance `full`, relative to bare onnxruntime loops.
 *
 * npx tsx bench/overhead/main.ts --out bench/results/overhead-cifar10.json
 *
 * - One engine thread with one ONNX thread, relative to one worker thread that runs the same graph with the same batch
 *   size and decodes nothing.
 * - Engine threads on all cores, relative to as many worker threads that each decode a batch with sharp and run it.
 *
 * Requests are forms with a full batch of PNG pictures. Service and loop take turns, and the order changes with each
 * round. With --service FOLDER the service on all cores is also compared with that of another built checkout. Exit
 * status 1 if the first ratio is below LIMIT.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os, { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import sharp from 'sharp';
import type { Instance } from '../../src/family/instance.js';
import { loadFamily } from '../../src/family/load.js';
import { MAX_BATCH } from '../batch-sizes.js';
import { generate } from '../load/generate.js';
import { readMetrics, since, total } from '../load/metrics.js';
import { positive } from '../options.js';
import { compile, compiled, type ServiceProcess, startService, stop } from '../service.js';
import { circumstances, fail, progress, writeResult } from '../support.js';
import { spread } from '../virtual/summary.js';

/** Lowest allowed throughput, relative to the bare loop. */
const LIMIT = 0.9;
/** Forms in flight for each engine thread: one is run, one is decoded, one is transferred. */
const FORMS = 3;
const BOUNDARY = 'dimmer-bench';

const { values: options } = parseArgs({
  options: {
    picture: { type: 'string', default: 'docs/examples/cat.jpg' },
    family: { type: 'string', default: 'cifar10' },
    models: { type: 'string', default: 'models' },
    seconds: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '5' },
    service: { type: 'string' },
    out: { type: 'string' },
  },
});
const ms = 1000 * positive.parse(options.seconds);
const rounds = positive.int().parse(options.rounds);
const cpus = os.availableParallelism();
const family = await loadFamily(join(options.models, options.family));
const full = family.instances.find((i) => i.share === 1) ?? fail('the family has no full instance');

const folder = mkdtempSync(join(tmpdir(), 'dimmer-overhead-'));
const [pictureFile, formFile] = [join(folder, 'picture.png'), join(folder, 'form')];

/** Writes a PNG of the network's input size, and the body of a form with MAX_BATCH copies of it. */
async function makePictures(): Promise<void> {
  const picture = await sharp(options.picture).resize(family.width, family.height).png().toBuffer();
  const part = Buffer.concat([
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n`),
    picture,
    Buffer.from('\r\n'),
  ]);
  writeFileSync(pictureFile, picture);
  writeFileSync(formFile, Buffer.concat([...Array.from({ length: MAX_BATCH }, () => part), end()]));
}

const end = () => Buffer.from(`--${BOUNDARY}--\r\n`);

/** Throughput of the service in pictures a second, and the mean batch size. */
async function serviceRate(url: string, threads: number, { id }: Instance) {
  const headers = { 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` };
  const before = await readMetrics(url);
  const { closedPerS } = await generate({
    url,
    path: `/classify?model=${family.name}&top=1&instance=${id}`,
    headers,
    closedHeaders: headers,
    pictures: [{ file: formFile, label: 0 }],
    closed: { connections: FORMS * threads, ms },
    arrivalsMs: [],
    timeoutMs: 20_000,
  });
  const samples = since(before, await readMetrics(url));
  const [sizes, n] = ['sum', 'count'].map((part) => total(samples, `dimmer_batch_size_pictures_${part}`));
  return { picturesPerS: closedPerS * MAX_BATCH, meanBatch: (sizes as number) / (n as number) };
}

/** Throughput of bare loops in pictures a second, in a process of their own. */
async function bareRate(threads: number, decodes: boolean): Promise<number> {
  const { height, width } = family;
  const job = { graph: full.graph, height, width, batch: MAX_BATCH, ms, ...(decodes && { pictureFile }) };
  const { stdout } = await promisify(execFile)(process.execPath, [
    compiled('overhead/bare.js'),
    String(threads),
    JSON.stringify(job),
  ]);
  return Number(stdout);
}

interface Round {
  readonly picturesPerS: number;
  readonly meanBatch: number;
  /** Of the loops, or of the other service. */
  readonly barePerS: number;
  readonly ratio: number;
}

/** Rounds of a service and of what it is compared with, each first in every other round. other: its pictures a second. */
async function takeTurns(name: string, { url }: ServiceProcess, threads: number, other: () => Promise<number>) {
  const bar = progress(name, rounds);
  try {
    await serviceRate(url, threads, full); // warms up
    const all: Round[] = [];
    for (let n = 0; n < rounds; n++) {
      const early = n % 2 === 0 ? await other() : undefined;
      const service = await serviceRate(url, threads, full);
      const barePerS = early ?? (await other());
      all.push({ ...service, barePerS, ratio: service.picturesPerS / barePerS });
      bar.step();
    }
    return { name, threads, ratio: spread(all.map((r) => r.ratio)), rounds: all };
  } finally {
    bar.stop();
  }
}

/** The service of a checkout; default: this one. */
const start = (threads: number, root?: string): Promise<ServiceProcess> => {
  const environment = { MODELS_DIR: resolve(options.models), ENGINE_THREADS: String(threads), ONNX_THREADS: '1' };
  const cache = join(folder, root === undefined ? 'cache' : 'other-cache');
  return startService({ ...environment, CACHE_DIR: cache }, undefined, root === undefined ? {} : { root });
};

/** This service over that of another checkout. Both run all the time. */
async function compareBuilds(root: string) {
  const [ours, other] = [await start(cpus), await start(cpus, root)];
  const rate = async () => (await serviceRate(other.url, cpus, full)).picturesPerS;
  try {
    await rate(); // warms up
    return await takeTurns(`all cores, against the service of ${basename(root)}`, ours, cpus, rate);
  } finally {
    for (const { child } of [ours, other]) await stop(child);
  }
}

async function compare(name: string, threads: number, decodes: boolean) {
  const service = await start(threads);
  try {
    return await takeTurns(name, service, threads, () => bareRate(threads, decodes));
  } finally {
    await stop(service.child);
  }
}

compile();
try {
  await makePictures();
  const one = await compare('one thread, against a loop without decoding', 1, false);
  const comparisons = [one, await compare('all cores, against loops that decode', cpus, true)];
  if (options.service) comparisons.push(await compareBuilds(resolve(options.service)));
  for (const { name, ratio, rounds } of comparisons) {
    console.log(`${name}: ${ratio.mean.toFixed(3)} (sd ${ratio.sd.toFixed(3)} of ${rounds.length} rounds)`);
    console.table(rounds);
  }
  const { name, version } = family;
  const facts = { model: name, modelVersion: version, instance: full.id, batch: MAX_BATCH, limit: LIMIT };
  writeResult(options.out, { bench: 'overhead', ...circumstances(), ...facts, comparisons });
  process.exitCode = one.ratio.mean >= LIMIT ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
