/**
 * What mutation testing of the pure parts found: how many changes to the code its tests notice, and which they do not.
 *
 *   npm run mutation -- --out bench/results/mutation.json
 *
 * stryker.config.mjs says what is changed and which tests run; Stryker's own report, of several MB, stays in .cache. A
 * part alone: `npx stryker run --mutate 'src/router/*.ts'`. Reports of parts are put together by naming them to
 * `npm run mutation:summary`, the last one that has a file counting; one of other code than there is now is refused.
 * Exit status 1 if too few are noticed.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { circumstances, fail, versionOf, writeResult } from '../support.js';
import { EQUIVALENTS } from './equivalents.js';
import { type Report, summarise } from './summary.js';

/** Percent of all changes, equivalent ones among them: below it more than one mistake in five would pass these tests. */
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
