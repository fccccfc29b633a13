/**
 * Memory of all instances with shared weights, relative to one instance, and to all instances with separate weights.
 *
 * npm run bench:memory -- --models models --out bench/results/memory-shipped.json npm run bench:memory -- --models
 * FOLDER --ordinary 0 --out bench/results/memory-preresnet50.json
 *
 * FOLDER: a folder of families, such as `sdpoint random` exports (training/README.md). Measured is the proportional set
 * size (PSS) after every instance ran at every batch size on every engine thread. Each row has a process of its own,
 * with jemalloc as the Dockerfile configures it, and with glibc. The row `one` is `full` of the first family in an
 * ordinary session. Exit status 1 if, with jemalloc, all instances take more than --limit times the memory of one with
 * as many threads, or if a second thread or process adds more than MOST_SECOND allows.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { positive } from '../options.js';
import { compile, compiled, settingsOfImage } from '../service.js';
import { circumstances, progress, writeResult } from '../support.js';
import type { Held, Reported } from './holder.js';

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: 'models' },
    weights: { type: 'string', default: 'auto' },
    runs: { type: 'string', default: '3' },
    /** 0 leaves out all instances with separate weights, which may need more memory than the host has. */
    ordinary: { type: 'string', default: '1' },
    limit: { type: 'string', default: '1.5' },
    out: { type: 'string' },
  },
});
/** Memory with a second engine thread or process, as a multiple of that with one: the largest allowed. */
const MOST_SECOND = { thread: 1.5, process: 1.3 };
/** Longer than jemalloc keeps freed memory (`dirty_decay_ms` in the Dockerfile). */
const REST_MS = 5000;
const limit = positive.parse(options.limit);
const weights = z.enum(['auto', 'shared', 'folded']).parse(options.weights);
const rounds = positive.int().parse(options.runs);
const folder = mkdtempSync(join(tmpdir(), 'dimmer-memory-'));

const ALLOCATORS = { jemalloc: settingsOfImage(), glibc: {} } as const;
type Allocator = keyof typeof ALLOCATORS;

interface Row {
  readonly name: string;
  readonly allocator: Allocator;
  readonly held: Pick<Held, 'weights' | 'one' | 'threads'>;
  readonly processes?: number;
}

const ALL = { weights, one: false } as const;
const ONE = { weights: 'ordinary', one: true } as const;
const ROWS: Row[] = (Object.keys(ALLOCATORS) as Allocator[]).flatMap((allocator): Row[] => [
  { name: 'one', allocator, held: { ...ONE, threads: 2 } },
  { name: 'all', allocator, held: { ...ALL, threads: 2 } },
  { name: 'one, 1 thread', allocator, held: { ...ONE, threads: 1 } },
  { name: 'all, 1 thread', allocator, held: { ...ALL, threads: 1 } },
  { name: 'all, 2 processes', allocator, held: { ...ALL, threads: 2 }, processes: 2 },
  ...(options.ordinary === '1'
    ? [{ name: 'all, ordinary', allocator, held: { weights: 'ordinary', one: false, threads: 2 } } as const]
    : []),
]);

interface Process {
  readonly child: ChildProcess;
  next(): Promise<Reported>;
}

function hold({ allocator, held }: Row): Process {
  const facts: Held = { models: resolve(options.models), cacheDir: join(folder, 'cache'), restMs: REST_MS, ...held };
  const child = spawn(process.execPath, [compiled('memory/holder.js'), JSON.stringify(facts)], {
    env: { ...process.env, ...ALLOCATORS[allocator] },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout as NonNullable<typeof child.stdout> })[Symbol.asyncIterator]();
  const next = async () => {
    const { value } = await lines.next();
    if (value === undefined) throw new Error('a process of this bench has ended');
    return JSON.parse(value) as Reported;
  };
  return { child, next };
}

/** Runs the processes of a row; memory is the sum of their PSS. */
async function measure(row: Row): Promise<Reported> {
  const all = Array.from({ length: row.processes ?? 1 }, () => hold(row));
  const reports = await Promise.all(all.map((p) => p.next()));
  if (all.length > 1) {
    for (const { child } of all) child.stdin?.write('again\n');
    reports.splice(0, reports.length, ...(await Promise.all(all.map((p) => p.next()))));
  }
  for (const { child } of all) {
    child.stdin?.end();
    if (child.exitCode === null) await once(child, 'exit');
  }
  const sum = (of: (r: Reported) => number) => reports.reduce((total, r) => total + of(r), 0);
  const [first] = reports as [Reported];
  return { ...first, busyMib: sum((r) => r.busyMib), restedMib: sum((r) => r.restedMib) };
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] as number;

compile();
try {
  const bar = progress('memory', rounds * ROWS.length + 1);
  await measure({ name: 'cold', allocator: 'glibc', held: { ...ALL, threads: 2 } }); // fills the cache
  bar.step();
  const found = ROWS.map((row) => ({ ...row, runs: [] as Reported[] }));
  for (let n = 0; n < rounds; n++) {
    for (const row of found) {
      row.runs.push(await measure(row));
      bar.step();
    }
  }
  bar.stop();
  const rows = found.map(({ held, ...row }) => ({
    ...row,
    ...held,
    instances: row.runs[0]?.instances,
    restedMib: median(row.runs.map((r) => r.restedMib)),
    busyMib: median(row.runs.map((r) => r.busyMib)),
    readyMs: median(row.runs.map((r) => r.readyMs)),
  }));
  const of = (allocator: Allocator, name: string) =>
    rows.find((r) => r.allocator === allocator && r.name === name)?.restedMib ?? Number.NaN;
  const findings = (Object.keys(ALLOCATORS) as Allocator[]).flatMap((allocator) => [
    { allocator, what: 'all to one', ratio: of(allocator, 'all') / of(allocator, 'one'), limit },
    {
      allocator,
      what: 'all to one, 1 thread',
      ratio: of(allocator, 'all, 1 thread') / of(allocator, 'one, 1 thread'),
      limit,
    },
    {
      allocator,
      what: 'second thread',
      ratio: of(allocator, 'all') / of(allocator, 'all, 1 thread'),
      limit: MOST_SECOND.thread,
    },
    {
      allocator,
      what: 'second process',
      ratio: of(allocator, 'all, 2 processes') / of(allocator, 'all'),
      limit: MOST_SECOND.process,
    },
  ]);
  console.table(rows.map(({ runs: _, weights: __, one: ___, ...row }) => row));
  console.table(findings.map((f) => ({ ...f, ratio: f.ratio.toFixed(2), holds: f.ratio <= f.limit })));
  writeResult(options.out, {
    bench: 'memory',
    ...circumstances(),
    settings: ALLOCATORS.jemalloc,
    restMs: REST_MS,
    findings,
    rows,
  });
  process.exitCode = findings.every((f) => f.allocator !== 'jemalloc' || f.ratio <= f.limit) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
