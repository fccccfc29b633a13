/** Sections of docs/benchmarks.md about memory, and about what it costs. */
interface Median {
  readonly median: number;
  readonly sd: number;
}

export interface Memory {
  readonly findings: { allocator: string; what: string; ratio: number; limit: number }[];
  readonly rows: {
    name: string;
    allocator: string;
    weights: string;
    threads: number;
    instances: number;
    restedMib: number;
    busyMib: number;
    readyMs: number;
    runs: unknown[];
  }[];
}

export interface Sessions {
  readonly summaries: { weights: string; size: number; n: number; median: number; p95: number; largest: number }[];
  readonly largestDifference: number;
}

export interface Ready {
  readonly rows: { name: string; cache: string; n: number; readyMs: Median; inTime: Median; pssMib: Median }[];
}

type Table = (head: readonly string[], rows: readonly (readonly (string | number)[])[]) => string;

const fixed = (value: number, digits = 0) => value.toFixed(digits);

export const memory =
  (table: Table) =>
  ({ rows, findings }: Memory): string[] => [
    'PSS in MiB of a process that ran every instance at every batch size on every engine thread: after a rest of 5 s, and right after the last run. `one` is the full network alone, as onnxruntime optimises it by itself.',
    table(
      ['', 'allocator', 'weights', 'instances', 'threads', 'after a rest', 'busy', 'loaded in, s', 'n'],
      rows.map((r) => [
        r.name,
        r.allocator,
        r.weights,
        r.instances,
        r.threads,
        fixed(r.restedMib),
        fixed(r.busyMib),
        fixed(r.readyMs / 1000, 1),
        r.runs.length,
      ]),
    ),
    table(
      ['ratio', 'allocator', '', 'goal'],
      findings.map((f) => [f.what, f.allocator, fixed(f.ratio, 2), `<= ${f.limit}`]),
    ),
  ];

export const sessions =
  (table: Table) =>
  ({ summaries, largestDifference }: Sessions): string[] => [
    `Time of an instance with shared weights over that of an ordinary session with all optimisations, over all instances. Logits differ by ${largestDifference.toExponential(1)} at most.`,
    table(
      ['`WEIGHTS`', 'batch', 'instances', 'median', 'p95', 'largest'],
      summaries.map((s) => [s.weights, s.size, s.n, fixed(s.median, 3), fixed(s.p95, 3), fixed(s.largest, 3)]),
    ),
  ];

export const ready =
  (table: Table) =>
  ({ rows }: Ready): string[] => [
    'From the start of the process to `ready`, answers in time of the second that follows, and memory after it; medians ± standard deviation.',
    table(
      ['', '`CACHE_DIR`', 'n', 'ready after, s', 'in time, %', 'PSS, MiB'],
      rows.map((r) => [
        r.name,
        r.cache,
        r.n,
        `${fixed(r.readyMs.median / 1000, 1)} ± ${fixed(r.readyMs.sd / 1000, 1)}`,
        `${fixed(100 * r.inTime.median, 1)} ± ${fixed(100 * r.inTime.sd, 1)}`,
        `${fixed(r.pssMib.median)} ± ${fixed(r.pssMib.sd)}`,
      ]),
    ),
  ];
