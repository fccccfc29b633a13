import { readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { manifestJsonSchema } from '../../src/family/json-schema.js';
import { openApiDocument, openApiYaml } from '../../src/http/openapi.js';
import { PAGE_FILES } from '../../src/http/page.js';
import { INPUTS } from '../../src/oip/tensors.js';
import { parseBudget } from '../../src/router/budget.js';
import { picture, readyApp } from '../support/app.js';
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

// biome-ignore lint/suspicious/noExplicitAny: a part that is not there fails the test that reads it
type Part = any;

/** A part of openapi.yaml, by the keys on the way to it. */
const described = (...keys: readonly (string | number)[]): Part =>
  keys.reduce((at: Part, key) => at[key], openApiDocument());
const schemas = ['components', 'schemas'];

t.test('the events of /live are described as events', async (t) => {
  const { url } = await readyApp(t);
  const given = new AbortController();
  const { body } = await fetch(`${url}/live`, { signal: given.signal });
  const text = new TextDecoder().decode((await body?.getReader().read())?.value);
  given.abort();
  const [, name, data = ''] = /^event: (.+)\ndata: (.+)\n/.exec(text) ?? [];
  const stream = described('paths', '/live', 'get', 'responses', 200, 'content', 'text/event-stream', 'schema');
  const event = stream.anyOf.find((e: Part) => e.properties.event.enum.includes(name));
  t.match(event.properties.data, { type: 'string', contentMediaType: 'application/json' });
  const ref = event.properties.data.contentSchema.$ref.split('/').at(-1);
  t.same(Object.keys(JSON.parse(data)), described(...schemas, ref).required);
});

t.test('/openapi.yaml is described as a document, not as text', async (t) => {
  const { url } = await readyApp(t);
  const { type } = described(
    'paths',
    '/openapi.yaml',
    'get',
    'responses',
    200,
    'content',
    'application/yaml',
    'schema',
  );
  t.equal(type, typeof parse(await (await fetch(`${url}/openapi.yaml`)).text()));
});

t.test('a form has pictures and nothing else, in the description and in the service', async (t) => {
  const form = described('paths', '/classify', 'post', 'requestBody', 'content', 'multipart/form-data');
  t.match(form, { encoding: { image: { contentType: 'image/*' } }, schema: { additionalProperties: false } });
  const { url } = await readyApp(t);
  const body = new FormData();
  body.append('image', new Blob([new Uint8Array(await picture())]));
  t.equal((await fetch(`${url}/classify`, { method: 'POST', body })).status, 200);
  body.append('more', 'text');
  t.equal((await fetch(`${url}/classify`, { method: 'POST', body })).status, 400);
});

t.test('limits that the service has are in the description', (t) => {
  const instance = described(...schemas, 'Model', 'properties', 'instances', 'items', 'properties');
  t.match(instance.interval, { minItems: 2, maxItems: 2, items: { minimum: 0, maximum: 1 } });
  const { inputs } = described(...schemas, 'V2InferRequest', 'properties');
  t.match(inputs, { minItems: 1, maxItems: 1 });
  t.same(
    inputs.items.properties.name.enum,
    INPUTS.map((i) => i.name),
  );
  t.equal(inputs.items.properties.shape.items.maximum, Number.MAX_SAFE_INTEGER);
  t.end();
});

t.test('the example of a budget is one', (t) => {
  const budget = described('paths', '/classify', 'post', 'parameters').find((p: Part) => p.name === 'Inference-Budget');
  t.equal(budget.schema.format, 'inference-budget');
  t.same(parseBudget(budget.schema.example), { latency: 250, cost: 0.5, strict: false });
  t.end();
});
