/** The package as its users have it: built, installed in a folder of theirs, and used as the pages say. */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import t, { type Test } from 'tap';
import { SCHEMA, schemaText } from '../../../clients/typescript/generate.js';
import { createApp, picture, readyApp, temporaryFolder } from '../../support/app.js';
import { CHROMIUM, NO_BROWSER } from '../../support/chromium.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const SOURCE = join(ROOT, 'clients/typescript');
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const node = (cwd: string, ...args: string[]) => promisify(execFile)(process.execPath, args, { cwd });

interface Package {
  readonly type: string;
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
}
const own = JSON.parse(read('clients/typescript/package.json')) as Package;

/** A folder in which the package is installed. */
const folder = temporaryFolder(t);
const PACKAGE = join(folder, 'node_modules/@dimmer/client');

t.before(async () => {
  await node(ROOT, TSC, '-p', SOURCE, '--outDir', join(PACKAGE, 'dist'));
  cpSync(join(SOURCE, 'package.json'), join(PACKAGE, 'package.json'));
  for (const name of Object.keys(own.dependencies)) {
    mkdirSync(join(folder, 'node_modules'), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
  }
});

t.test('the types are those of openapi.yaml', async (t) => {
  t.equal(readFileSync(SCHEMA, 'utf8'), await schemaText(), 'run npm run contracts');
});

t.test('it is tested with the packages that it asks for', (t) => {
  const root = JSON.parse(read('package.json')) as Package;
  const here = { ...root.dependencies, ...root.devDependencies };
  for (const [name, version] of Object.entries({ ...own.dependencies, ...own.devDependencies })) {
    t.equal(here[name], version, name);
  }
  t.end();
});

const PAGES = ['docs/clients.md', 'clients/typescript/README.md'];
const snippetsOf = (page: string) => [...read(page).matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code);

t.test('what the pages show compiles and runs', async (t) => {
  const { app, url } = await createApp(t);
  await app.start();
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const files = PAGES.flatMap((page, at) => {
    const snippets = snippetsOf(page);
    t.ok(snippets.length > 0, page);
    return snippets.map((code, n) => {
      t.match(code, 'http://localhost:8080', 'it asks the service of the pages');
      const file = `snippet${at}-${n}`;
      writeFileSync(join(folder, `${file}.ts`), code.replaceAll('http://localhost:8080', url));
      return file;
    });
  });
  const compilerOptions = { strict: true, module: 'nodenext', target: 'es2022', lib: ['es2022', 'dom'], types: [] };
  const config = { compilerOptions, files: files.map((file) => `${file}.ts`) };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  await node(folder, TSC).catch(({ stdout }) => t.fail(stdout));
  const labels = JSON.parse(read('test/fixtures/families/tiny/labels.json')) as string[];
  for (const file of files) {
    const { stdout, stderr } = await node(ROOT, join(folder, `${file}.js`));
    t.equal(stderr, '', file);
    t.ok(
      stdout
        .trim()
        .split('\n')
        .every((line) => labels.some((label) => line.startsWith(label))),
      stdout,
    );
  }
});

/** The address of a server of this test. */
async function listening(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close().closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What the page does; its outcome is a global. */
const SCRIPT = `
  import { Dimmer, ProblemError } from '@dimmer/client';
  const refusal = (promise) => promise.then(() => 'no refusal', (e) => (e instanceof ProblemError
    ? { code: e.code, requestId: typeof e.requestId, retryAfterMs: typeof e.retryAfterMs }
    : String(e)));
  const png = await (await fetch('/picture.png')).blob();
  const dimmer = new Dimmer(SERVICE, { retry: { maxWaitMs: 0 } });
  globalThis.outcome = {
    one: (await dimmer.classify(png, { budget: { cost: 0.7 } })).budget,
    several: (await dimmer.classify([new File([png], 'a'), png.stream(), await png.arrayBuffer()])).results.length,
    again: (await new Dimmer(location.origin + '/busy').classify(png)).sizes,
    path: await refusal(dimmer.classify('picture.png')),
    over: await refusal(dimmer.classify(png)),
  };
`;

t.test('it works in a browser, on a page of another origin', { skip: NO_BROWSER }, async (t) => {
  const png = await picture();
  const sizes: number[] = [];
  const modules: Record<string, string> = {
    '@dimmer/client': join(PACKAGE, 'dist/index.js'),
    'openapi-fetch': join(ROOT, 'node_modules/openapi-fetch/dist/index.mjs'),
    'structured-headers': join(ROOT, 'node_modules/structured-headers/dist/index.js'),
  };
  const imports = Object.fromEntries(Object.entries(modules).map(([name, path]) => [name, `/file${path}`]));
  let service = '';
  const origin = await listening(t, async (request, response) => {
    const path = request.url ?? '';
    if (path === '/busy/classify') {
      let bytes = 0;
      for await (const chunk of request) bytes += (chunk as Buffer).length;
      sizes.push(bytes);
      const refused = sizes.length === 1;
      response.writeHead(refused ? 503 : 200, { 'Content-Type': 'application/json', 'Retry-After': '0' });
      response.end(JSON.stringify({ sizes }));
    } else if (path.startsWith('/file/')) {
      response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(readFileSync(path.slice('/file'.length)));
    } else if (path === '/picture.png') response.end(png);
    else {
      const map = JSON.stringify({ imports });
      const script = SCRIPT.replace('SERVICE', JSON.stringify(service));
      response.writeHead(200, { 'Content-Type': 'text/html' });
      response.end(`<script type="importmap">${map}</script><script type="module">${script}</script>`);
    }
  });
  service = (await readyApp(t, { CORS_ORIGINS: origin, QUOTA_PER_MINUTE: '2' })).url;
  // No sandbox: CI runs as root, and the page is ours.
  const browser = await chromium.launch({ executablePath: CHROMIUM as string, args: ['--no-sandbox'] });
  t.teardown(() => browser.close());
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(origin);
  await page.waitForFunction('globalThis.outcome').catch((error: Error) => t.fail(`${errors} ${error}`));
  t.same(await page.evaluate('globalThis.outcome'), {
    one: { cost: 0.7, strict: true, met: true },
    several: 3,
    again: [png.length, png.length],
    path: 'TypeError: a path can be read in Node only; expected a Blob, bytes or a stream',
    over: { code: 'quota-exceeded', requestId: 'string', retryAfterMs: 'number' },
  });
});
