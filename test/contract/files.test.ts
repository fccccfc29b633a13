/** `npm run contracts` generates the committed files, also into another folder. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { temporaryFolder } from '../support/app.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FILES = ['openapi.yaml', 'training/sdpoint/manifest.schema.json', '.env.example'];

/** The folder in which the command ran, under the same loaders as this test. */
function written(t: Test, wanted: readonly string[]): string {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'training/sdpoint'), { recursive: true });
  execFileSync(process.execPath, [...process.execArgv, join(ROOT, 'src/contracts.ts'), ...wanted], { cwd: folder });
  return folder;
}

t.test('it writes every file as it is committed', (t) => {
  const folder = written(t, []);
  for (const file of FILES) t.equal(readFileSync(join(folder, file), 'utf8'), readFileSync(join(ROOT, file), 'utf8'));
  t.end();
});

t.test('it writes only the files that are named', (t) => {
  const folder = written(t, ['openapi.yaml']);
  t.same(
    FILES.filter((file) => existsSync(join(folder, file))),
    ['openapi.yaml'],
  );
  t.end();
});
