/**
 * Summarises mutation testing of the pure parts of the code: how many mutants the tests kill, and which survive.
 *
 * npm run mutation -- --out bench/results/mutation.json
 *
 * stryker.config.mjs names the files that are changed and the tests that run. Stryker's own report, of several MB,
 * stays in .cache. To mutate a part alone: `npx stryker run --mutate 'src/router/*.ts'`. `npm run mutation:summary`
 * joins several reports, given as arguments; if two have the same file, the later one counts. A report about other
 * source than the present one is refused. Exit status 1 if the score is below LEAST_SCORE.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { circumstances, fail, versionOf, writeResult } from '../support.js';
import { EQUIVALENTS } from './equivalents.js';
import { type Report, summarise } from './summary.js';

/**
 * Lowest allowed share of killed mutants in percent, equivalent ones counted as survivors: four mistakes in five are
 * found.
 */
const LEAST_SCORE = 80;
const LAST_REPORT = '.cache/mutation/report.json';

const { values: options, positionals } = parseArgs({ options: { out: { type: 'string' } }, allowPositionals: true });
const reports = (positionals.length ? positionals : [LAST_REPORT]).map(
  (path) => JSON.parse(readFileSync(path, 'utf8')) as Report,
);

const report: Report = { files: Object.assign({}, ...reports.map((r) => r.files)) };
for (const [path, { source }] of Object.entries(report.files))
  if (source !== readFileSync(path, 'utf8')) fail(`${path} is not what was mutated: run it again`);
const summary = summarise(report, EQUIVALENTS);
console.table({ ...summary.files, all: summary.all });
writeResult(options.out, {
  ...circumstances(),
  stryker: versionOf('@stryker-mutator/core'),
  tapRunner: versionOf('@stryker-mutator/tap-runner'),
  leastScore: LEAST_SCORE,
  ...summary,
});
if (summary.all.score < LEAST_SCORE) process.exitCode = 1;
