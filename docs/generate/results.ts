/** What the benches left: bench/results/*.json and the latency tables. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readTable, type Table } from '../../bench/virtual/table.js';
import { loadFamilies } from '../../src/family/load.js';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const RESULTS = 'bench/results';
const TABLES = 'bench/virtual/tables';

/** Where and when something was measured. Benches in Python tell versions and no date. */
export interface Circumstances {
  readonly command: string;
  readonly commit: string;
  readonly date?: string;
  readonly node?: string;
  readonly cpu?: string;
  readonly cpus?: number;
  readonly versions?: Readonly<Record<string, string>>;
}

/** A result of any bench; what else it holds is the bench's own. */
export interface Result extends Circumstances {
  /** Of the file, without its extension. */
  readonly name: string;
  /** From the root. */
  readonly file: string;
  readonly bench: string;
}

export interface Material {
  /** By name. */
  readonly results: readonly Result[];
  readonly tables: readonly { readonly file: string; readonly table: Table }[];
  /** Version of each shipped family by its name. */
  readonly versions: ReadonlyMap<string, string>;
  /** Whether this commit has such a file; path: from the root. */
  exists(path: string): boolean;
}

const jsonIn = (folder: string) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.json'))
    .sort();

export async function readMaterial(): Promise<Material> {
  const families = await loadFamilies(join(ROOT, 'models'));
  return {
    results: jsonIn(RESULTS).map((name) => resultOf(name, readFileSync(join(ROOT, RESULTS, name), 'utf8'))),
    tables: jsonIn(TABLES).map((name) => ({ file: `${TABLES}/${name}`, table: readTable(join(ROOT, TABLES, name)) })),
    versions: new Map(families.map(({ name, version }) => [name, version])),
    exists: (path) => existsSync(join(ROOT, path)),
  };
}

/**
 * file: its name within bench/results. A result that names no bench is named by its file. Where a bench was not started
 * by its script, the command is noted without it.
 */
export function resultOf(file: string, text: string): Result {
  const name = file.replace(/\.json$/, '');
  const content = JSON.parse(text) as Circumstances & { readonly bench?: string };
  const script = content.bench === undefined ? name : `bench:${content.bench}`;
  const command = content.command.replace(/^npm run (?:npx|\?) /, `npm run ${script} `);
  return { ...content, bench: content.bench ?? name, command, name, file: `${RESULTS}/${file}` };
}

/** Those of a bench, as the shape that it writes. */
export const resultsOf = <T>({ results }: Material, bench: string): (Result & T)[] =>
  results.filter((r) => r.bench === bench) as (Result & T)[];

/** How benches note the family that they measured; those that no family changes note none. */
interface Measured {
  readonly family?: string | { readonly name: string; readonly version: string };
  readonly version?: string;
  readonly model?: string;
  readonly modelVersion?: string;
}

function measured(result: object): { name: string | undefined; version: string | undefined } {
  const { family, version, model, modelVersion } = result as Measured;
  return typeof family === 'object' ? family : { name: family ?? model, version: version ?? modelVersion };
}

/** The family that was measured, if it is a shipped one. */
export function familyOf(result: object, { versions }: Material): string | undefined {
  const { name } = measured(result);
  return name !== undefined && versions.has(name) ? name : undefined;
}

/** Of a family that was exported anew since: what was measured, and what is shipped now. */
export function outdated(result: object, { versions }: Material): { was: string; is: string } | undefined {
  const { name = '', version: was } = measured(result);
  const is = versions.get(name);
  return was === undefined || is === undefined || was === is ? undefined : { was, is };
}

export const commitOf = ({ commit }: Circumstances): string =>
  `\`${commit.slice(0, 12)}\`${/uncommitted|dirty/.test(commit) ? ' and changes' : ''}`;

/** Without what every processor's name has. */
const host = ({ cpu, cpus, versions }: Circumstances): string =>
  cpu === undefined
    ? (versions?.machine ?? 'host not noted')
    : `${cpus} CPUs (${cpu.replace(/\((?:R|TM)\)| Processor| CPU/g, '')})`;

/** Commit, day and host, in a few words. */
export const whenWhere = (result: Circumstances): string =>
  [commitOf(result), result.date?.slice(0, 10) ?? 'date not noted', host(result)].join(', ');

/** Under the tables of a section. raw: the path of the file from the root, up: to the root from the page. */
export function origin(result: Circumstances, raw: string, up: string): string {
  const { command, node, versions = {} } = result;
  const software = node ? [`Node ${node}`] : Object.entries(versions).map((pair) => pair.join(' '));
  return `\`${command}\`, ${[whenWhere(result), ...software].join(', ')}; [raw result](${up}${raw}).`;
}
