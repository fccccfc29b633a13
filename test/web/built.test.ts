/** The committed build of the page: up to date with its source, and small. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { build } from 'vite';
import { temporaryFolder } from '../support/app.js';

const BUILT = fileURLToPath(new URL('../../web/built', import.meta.url));
const files = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

t.test('the committed files equal a new build of the source', async (t) => {
  const outDir = temporaryFolder(t);
  await build({
    configFile: fileURLToPath(new URL('../../web/vite.config.ts', import.meta.url)),
    logLevel: 'silent',
    build: { outDir },
  });
  t.same(files(BUILT), files(outDir), 'run npm run build:web');
  for (const file of files(outDir)) {
    t.ok(readFileSync(join(BUILT, file)).equals(readFileSync(join(outDir, file))), `${file}: run npm run build:web`);
  }
});

t.test('the page is small', (t) => {
  const bytes = files(BUILT).reduce((sum, file) => sum + gzipSync(readFileSync(join(BUILT, file))).length, 0);
  t.ok(bytes <= 200_000, `${bytes} bytes, compressed`);
  t.end();
});
