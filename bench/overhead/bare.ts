/** Runs bare-thread.ts on THREADS worker threads and prints the sum of their pictures a second: bare.ts THREADS JSON */
import '../../src/runtime/no-telemetry.js';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Bare } from './bare-thread.js';

const [threads, text] = process.argv.slice(2) as [string, string];
const { pictureFile, ...facts } = JSON.parse(text) as Omit<Bare, 'picture'> & { pictureFile?: string };
const picture = pictureFile === undefined ? undefined : readFileSync(pictureFile);
const workerData: Bare = { ...facts, picture };

const workers = Array.from(
  { length: Number(threads) },
  () => new Worker(new URL('./bare-thread.js', import.meta.url), { workerData }),
);
await Promise.all(workers.map((worker) => once(worker, 'message')));
const results = Promise.all(workers.map((worker) => once(worker, 'message')));
for (const worker of workers) worker.postMessage('go');
console.log((await results).reduce((sum, [perS]) => sum + perS, 0));
