/** The table of servers beside dimmer, from bench/results/peers.json, for every document that has a place for it. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Spread } from '../bench/overload/verdict.js';
import type { Finding } from '../bench/peers/summary.js';

const RESULT = fileURLToPath(new URL('../bench/results/peers.json', import.meta.url));
/** What stands between these lines of a document is made. */
const PLACE = /(<!-- peers -->\n)[\s\S]*?(<!-- \/peers -->)/g;

/** What is read of the result here. */
export interface Peers {
  readonly command: string;
  readonly commit: string;
  readonly date: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly model: string;
  readonly modelVersion: string;
  readonly deadlineMs: number;
  readonly seconds: number;
  readonly reference: string;
  readonly capacityPerS: number;
  readonly traces: readonly { readonly name: string; readonly perS: number }[];
  readonly findings: readonly Finding[];
  readonly servers: readonly {
    readonly name: string;
    readonly command: string;
    readonly settings: string;
    readonly tried: readonly unknown[];
    /** With nothing kept by an earlier start. */
    readonly firstStartMs: number;
    readonly startMs: Spread;
    readonly pssMib: Spread;
    readonly traces: readonly { readonly trace: string; readonly rightInTime: Spread }[];
  }[];
}

/** Undefined if it was not measured. */
export function readPeers(): Peers | undefined {
  return existsSync(RESULT) ? (JSON.parse(readFileSync(RESULT, 'utf8')) as Peers) : undefined;
}

const percent = ({ median, least, most }: Spread) =>
  `${(100 * median).toFixed(1)} (${(100 * least).toFixed(1)} to ${(100 * most).toFixed(1)})`;
const seconds = (ms: number) => (ms / 1000).toFixed(1);

/** With columns of one width, as the formatter has them: a document that was formatted is not one that has drifted. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const [head = [], ...others] = rows.map((cells) => line(cells.map((cell, n) => cell.padEnd(widths[n] as number))));
  return [head, line(widths.map((width) => '-'.repeat(width))), ...others].join('\n');
}

/** Markdown: a row for each server; on each trace the median share right and in time, and in brackets the least and the most. */
export function peersTable({ traces, servers }: Peers): string {
  const head = [
    'right and in time, %',
    ...traces.map(({ name, perS }) => `${name}${name.endsWith('/s') ? '' : `: ${perS.toFixed(0)}/s`}`),
    'memory, MiB',
    'start, s (the first)',
    'started with',
  ];
  const rows = servers.map(({ name, command, settings, startMs, firstStartMs, pssMib, ...server }) => [
    name,
    ...server.traces.map(({ rightInTime }) => percent(rightInTime)),
    pssMib.median.toFixed(0),
    `${seconds(startMs.median)} (${seconds(firstStartMs)})`,
    `\`${command}\`, ${settings}`,
  ]);
  return table([head, ...rows]);
}

/** Under the table: what it is and where it comes from. */
export function peersOrigin({ versions, servers, traces: _, ...r }: Peers): string {
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const rounds = Math.max(...servers.flatMap((s) => s.traces.map((t) => t.rightInTime.n)));
  return [
    `Pictures of \`${r.model}\`, each to be answered within ${r.deadlineMs} ms by the client's clock; 100 % is ${r.capacityPerS.toFixed(0)} pictures a second,`,
    `what ${r.reference} answers with the full network. Median (least to most) of ${rounds} runs of ${r.seconds} s in turns; each server with the best of`,
    `${Math.min(...servers.map((s) => s.tried.length))} settings or more. ${r.cpus} CPUs (${r.cpu}) that the client shares; ${packages.join(', ')};`,
    `commit ${r.commit.slice(0, 12)}, ${r.date.slice(0, 10)}: \`${r.command}\``,
  ].join('\n');
}

/** The document with its table as the result has it; one without a place for it as it is. */
export function withPeers(text: string, result: Peers): string {
  return text.replace(
    PLACE,
    (_, from: string, to: string) => `${from}\n${peersTable(result)}\n\n${peersOrigin(result)}\n\n${to}`,
  );
}
