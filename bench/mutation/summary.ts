/**
 * Counts the mutants of a report by their status and lists the survivors. Format: mutation-testing-report-schema. Pure.
 */

interface Position {
  /** Lines and columns count from 1. */
  readonly line: number;
  readonly column: number;
}

interface MutatedFile {
  readonly source: string;
  readonly mutants: readonly {
    readonly mutatorName: string;
    readonly replacement?: string;
    readonly status: string;
    readonly location: { readonly start: Position; readonly end: Position };
  }[];
}

export interface Report {
  readonly files: Record<string, MutatedFile>;
}

/** A mutant that no test can kill, because the changed code behaves the same. */
export interface Equivalent {
  readonly file: string;
  /** Text of the changed line without its indentation; line numbers would become outdated. */
  readonly line: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

export interface Counts {
  killed: number;
  timeout: number;
  survived: number;
  noCoverage: number;
  /** Mutants of `survived` and `noCoverage` that are known to be equivalent. */
  equivalent: number;
  /** Percent of all mutants that were killed or timed out; equivalent ones count as not killed. */
  score: number;
}

export interface Survivor extends Omit<Equivalent, 'reason'> {
  /** Place as `line:column`. */
  readonly at: string;
  readonly mutator: string;
  /** Reason why it is equivalent, if known. */
  readonly equivalent?: string;
}

export interface MutationSummary {
  readonly all: Counts;
  readonly files: Record<string, Counts>;
  readonly survivors: readonly Survivor[];
}

/** Statuses that are counted; any other means that the run of Stryker was broken. */
const COUNTED = { Killed: 'killed', Timeout: 'timeout', Survived: 'survived', NoCoverage: 'noCoverage' } as const;

/**
 * Raises Error for a status that is not counted, and for an equivalent that did not survive: that entry is out of date.
 */
export function summarise(report: Report, equivalents: readonly Equivalent[]): MutationSummary {
  const survivors = Object.entries(report.files).flatMap(([path, file]) => survivorsOf(path, file, equivalents));
  const [stale] = equivalents.filter((e) => !survivors.some((s) => isSame(e, s)));
  if (stale) throw new Error(`not among the survivors: ${stale.file}: ${stale.from} -> ${stale.to} in ${stale.line}`);
  const files = Object.fromEntries(Object.entries(report.files).map(([path, file]) => [path, countsOf(path, file)]));
  for (const { file, equivalent } of survivors) if (equivalent !== undefined) (files[file] as Counts).equivalent += 1;
  return { all: total(Object.values(files)), files, survivors };
}

function countsOf(path: string, { mutants }: MutatedFile): Counts {
  const counts = none();
  for (const { mutatorName, status, location } of mutants) {
    if (!isCounted(status)) throw new Error(`${path}:${location.start.line}: ${mutatorName} ended as ${status}`);
    counts[COUNTED[status]] += 1;
  }
  return { ...counts, score: scoreOf(counts) };
}

const isCounted = (status: string): status is keyof typeof COUNTED => Object.hasOwn(COUNTED, status);

function survivorsOf(file: string, { source, mutants }: MutatedFile, equivalents: readonly Equivalent[]): Survivor[] {
  return mutants
    .filter(({ status }) => status === 'Survived' || status === 'NoCoverage')
    .map(({ mutatorName, replacement = '', location: { start, end } }) => {
      const line = (source.split('\n')[start.line - 1] ?? '').trim();
      const from = textOf(source, start, end);
      const survivor = { file, at: `${start.line}:${start.column}`, mutator: mutatorName, line, from, to: replacement };
      const known = equivalents.find((e) => isSame(e, survivor));
      return known ? { ...survivor, equivalent: known.reason } : survivor;
    });
}

const isSame = (a: Omit<Equivalent, 'reason'>, b: Omit<Equivalent, 'reason'>) =>
  a.file === b.file && a.line === b.line && a.from === b.from && a.to === b.to;

const none = (): Counts => ({ killed: 0, timeout: 0, survived: 0, noCoverage: 0, equivalent: 0, score: 0 });

function total(all: readonly Counts[]): Counts {
  const sums = none();
  for (const counts of all) for (const key of Object.keys(sums) as (keyof Counts)[]) sums[key] += counts[key];
  return { ...sums, score: scoreOf(sums) };
}

function scoreOf({ killed, timeout, survived, noCoverage }: Counts): number {
  const noticed = killed + timeout;
  return Number(((100 * noticed) / (noticed + survived + noCoverage)).toFixed(2));
}

function textOf(source: string, start: Position, end: Position): string {
  const lines = source.split('\n').slice(start.line - 1, end.line);
  lines.push((lines.pop() ?? '').slice(0, end.column - 1));
  return [(lines.shift() ?? '').slice(start.column - 1), ...lines].join('\n');
}
