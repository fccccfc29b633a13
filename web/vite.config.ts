/** Builds the page into web/built, which is committed: `npm start` and `npm test` need no bundler. `npm run build:web`. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: 'built',
    emptyOutDir: true,
    // A page that nobody can reach offline has no use for older browsers than these, all of 2022.
    target: ['chrome105', 'firefox110', 'safari16'],
    modulePreload: false, // its helper is for several chunks; there is one
    license: { fileName: 'licenses.md' },
    rolldownOptions: {
      // Names without a digest: the service knows them by heart, and tells by ETag whether they have changed.
      output: { entryFileNames: 'assets/app.js', assetFileNames: 'assets/app[extname]' },
    },
  },
  // `npx vite web` while the service runs: what is edited is seen at once.
  server: {
    proxy: Object.fromEntries(
      ['/classify', '/models', '/live', '/samples', '/docs'].map((p) => [p, 'http://127.0.0.1:8080']),
    ),
  },
});
