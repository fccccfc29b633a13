/**
 * Makes docs/benchmarks.md, docs/benchmarks/ and the figures of README.md from the JSON in bench/results: npm run benchmarks
 * Every figure and every answer comes from there; a result that is not there is not shown.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withFigures } from './figures.js';
import { FOLDER, pages } from './generate/pages.js';
import { ROOT, readMaterial } from './generate/results.js';

const DOCS = join(ROOT, 'docs');
const made = pages(await readMaterial());
rmSync(join(DOCS, FOLDER), { recursive: true, force: true });
mkdirSync(join(DOCS, FOLDER));
for (const [path, text] of made) writeFileSync(join(DOCS, path), text);

const README = join(ROOT, 'README.md');
writeFileSync(README, await withFigures(readFileSync(README, 'utf8')));
