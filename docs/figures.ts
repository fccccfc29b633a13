/**
 * The figures of README.md, from models/ and bench/results: each block stands between `<!-- name -->` and
 * `<!-- /name -->`. `npm run benchmarks` writes them; what was not measured is said to be missing.
 */
import { existsSync, readFileSync } from 'node:fs';
import { type Family, fullInstance } from '../src/family/instance.js';
import { loadFamilies } from '../src/family/load.js';
import { choose } from '../src/router/choice.js';
import { frontier } from '../src/router/frontier.js';
import { ROOT } from './commands.js';
import type { Ready } from './generate/shapes.js';
import { readPeers, withPeers } from './peers.js';

/** Budgets that the table of families shows, as shares of the cost of `full`. */
const COSTS = [0.6, 0.35];

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;

/** What a strict request gets at these costs, and how often that is right. */
export function familiesTable(families: readonly Family[]): string {
  const head = ['family', 'classes', 'full', ...COSTS.map((c) => `\`cost=${c}\``), 'measured on'];
  const rows = families.map(({ name, labels, instances }) => {
    const full = fullInstance(instances);
    const offer = { instances: frontier(instances), fullFlops: full.flops, idleMs: () => 0 };
    const bought = COSTS.map((cost) => choose({ cost, strict: true }, offer).allowed[0]?.top1 ?? Number.NaN);
    const accuracies = [full.top1, ...bought].map(percent);
    return [
      `[\`${name}\`](models/${name}/README.md)`,
      String(labels.length),
      ...accuracies,
      `${full.n.toLocaleString('en')} pictures`,
    ];
  });
  return [head, head.map(() => '---'), ...rows].map(row).join('\n');
}

interface Started extends Ready {
  readonly commit: string;
  readonly cpu: string;
  readonly cpus: number;
}

/** How soon the shipped families are ready, and in how much memory. */
export function startText(result: Started | undefined): string {
  const found = (cache: string) => result?.rows.find((r) => r.name === 'this' && r.cache === cache);
  const [first, later] = [found('empty'), found('kept')];
  if (!result || !first || !later) return 'Not measured: `bench/results/ready-shipped.json` is missing.';
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  return [
    `The three families are ready ${seconds(first.readyMs.median)} after the first start on a host, ${seconds(later.readyMs.median)} after later ones, which find in \`CACHE_DIR\` what`,
    `the first one optimised and measured. Then they take ${later.pssMib.median.toFixed(0)} MiB, decoding processes included (${result.cpus} CPUs, ${result.cpu};`,
    `medians of ${later.n} starts, commit ${result.commit.slice(0, 12)}).`,
  ].join('\n');
}

/** A block of the text filled anew. Raises Error if it is not there. */
export function fill(text: string, name: string, content: string): string {
  const block = new RegExp(`<!-- ${name} -->\\n[\\s\\S]*?<!-- /${name} -->`);
  if (!block.test(text)) throw new Error(`there is no <!-- ${name} -->`);
  return text.replace(block, () => `<!-- ${name} -->\n${content}\n<!-- /${name} -->`);
}

/** README.md as it should be. */
export async function withFigures(readme: string): Promise<string> {
  const path = `${ROOT}bench/results/ready-shipped.json`;
  const ready = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Started) : undefined;
  const families = familiesTable(await loadFamilies(`${ROOT}models`));
  const filled = fill(fill(readme, 'families', families), 'start', startText(ready));
  const peers = readPeers();
  return peers ? withPeers(filled, peers) : filled;
}
