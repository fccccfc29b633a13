import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { TUNING } from '../../src/plan/tuning.js';

const PAGE = readFileSync(fileURLToPath(new URL('../../docs/scheduling.md', import.meta.url)), 'utf8');

t.test('docs/scheduling.md says of each constant what it is, and what too low and too high do', (t) => {
  const rows = [...PAGE.matchAll(/^\| `(\w+)`[^|]*\| ([^|]+?) +\| ([^|]+?) +\| ([^|]+?) +\|$/gm)];
  t.same(Object.fromEntries(rows.map(([, name, value]) => [name, Number(value)])), { ...TUNING });
  for (const [, name, , low, high] of rows)
    t.ok((low as string).length > 10 && (high as string).length > 10, String(name));
  t.end();
});
