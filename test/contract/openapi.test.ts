import { readFileSync } from 'node:fs';
import t from 'tap';
import { manifestJsonSchema } from '../../src/family/json-schema.js';
import { openApiDocument, openApiYaml } from '../../src/http/openapi.js';
import { PAGE_FILES } from '../../src/http/page.js';
import { readyApp } from '../support/app.js';
import { pathsServedBy } from '../support/routes.js';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

t.test('openapi.yaml equals the file generated from the schemas', (t) => {
  t.equal(read('openapi.yaml'), openApiYaml(), 'run npm run contracts');
  t.end();
});

t.test('the manifest schema in training/ equals that of the service', (t) => {
  t.equal(read('training/sdpoint/manifest.schema.json'), manifestJsonSchema(), 'run npm run contracts');
  t.end();
});

t.test('every path that is described exists, and every route is described', async (t) => {
  const { app } = await readyApp(t);
  const described = Object.entries(openApiDocument().paths ?? {}).flatMap(([path, item]) =>
    ['get', 'post'].filter((m) => m in item).map((m) => `${m.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
  );
  for (const route of described) {
    const [method = '', url = ''] = route.split(' ');
    t.ok(app.server.hasRoute({ method: method as 'GET', url }), route);
  }
  // The pages for people are no part of the contract, and /v2/ is /v2, as the protocol has it.
  const served = pathsServedBy(app.server).filter((p) => !(p in PAGE_FILES) && !/^\/docs\b/.test(p) && p !== '/v2/');
  t.ok(served.includes('/models/:name'), 'the tree is read right');
  t.same(
    served.sort(),
    [...new Set(described.map((route) => route.split(' ')[1] as string))].sort(),
    'and nothing else is served',
  );
});
