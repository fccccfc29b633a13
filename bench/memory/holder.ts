/**
 * A process that loads instances as the service's engine threads do: holder.ts JSON (a `Held`). It runs each instance
 * at every batch size on every thread and prints its memory as JSON (a `Reported`). It keeps the instances until its
 * standard input ends, and prints the memory again for each line of input.
 */
import '../../src/runtime/no-telemetry.js';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Family } from '../../src/family/instance.js';
import { loadFamilies } from '../../src/family/load.js';
import { graphsOf } from '../../src/networks.js';
import { sharedOutBytes } from '../../src/runtime/memory.js';
import { ThreadPool } from '../../src/runtime/pool.js';
import type { Weights } from '../../src/weights/mode.js';
import { shareWeights } from '../../src/weights/share.js';
import { BATCH_SIZES } from '../batch-sizes.js';

export interface Held {
  readonly models: string;
  readonly cacheDir: string;
  /** `ordinary`: no sharing, onnxruntime optimises each instance when it is loaded. */
  readonly weights: Weights | 'ordinary';
  /** Load only `full` of the first family. */
  readonly one: boolean;
  readonly threads: number;
  readonly restMs: number;
}
export interface Reported {
  readonly instances: number;
  readonly readyMs: number;
  /** Proportional set size (PSS) right after the last run, and `restMs` later. */
  readonly busyMib: number;
  readonly restedMib: number;
}

const { models, cacheDir, weights, one, threads, restMs } = JSON.parse(process.argv[2] as string) as Held;
const mib = async () => ((await sharedOutBytes()) ?? Number.NaN) / 1024 ** 2;
const trouble = ({ reason }: { reason: string }) => {
  throw new Error(reason);
};

const all = await loadFamilies(models);
const startMs = performance.now();
const sharing = { cacheDir, onnxruntime: '', threads, onTrouble: trouble };
const shared = weights === 'ordinary' ? new Map() : await shareWeights(all, { ...sharing, weights });
const families: Family[] = one
  ? all.slice(0, 1).map((f) => ({ ...f, instances: f.instances.filter((i) => i.id === 'full') }))
  : all;
const graphs = families.flatMap((f) => graphsOf(f, shared.get(f.name)));
const pool = await ThreadPool.start({ threads, onnxThreads: 1, provider: 'cpu', graphs });
const readyMs = performance.now() - startMs;
await pool.onEveryThread(async (run) => {
  for (const size of BATCH_SIZES) {
    for (const { key, shape } of graphs) {
      await run({ key, size, images: new ArrayBuffer(size * shape.reduce((a, b) => a * b)) });
    }
  }
});
const busyMib = await mib();
await sleep(restMs);
const report: Reported = { instances: graphs.length, readyMs, busyMib, restedMib: await mib() };
console.log(JSON.stringify(report));
// Asked again once the other processes of a row run, too: PSS divides shared pages among the processes that map them.
process.stdin.on('data', async () => console.log(JSON.stringify({ ...report, restedMib: await mib() }))).resume();
process.stdin.once('end', () => void pool.close().then(() => process.exit()));
