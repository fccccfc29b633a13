/**
 * Imports go one way: grpc -> http -> oip -> classify -> scheduler -> plan -> latency; scheduler -> image, engine -> runtime; cli -> http.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const SRC = fileURLToPath(new URL('../src', import.meta.url));
const FILES = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.ts'));

/** The layers that each layer may import, besides itself and SHARED. */
const MAY_IMPORT: Record<string, string[]> = {
  'errors.ts': [],
  'config-values.ts': [],
  'file-digest.ts': [],
  'get-or-insert.ts': [],
  'listeners.ts': [],
  'own-folder.ts': [],
  'start-progress.ts': [],
  runtime: [],
  weights: ['runtime', 'family'],
  engine: ['runtime'],
  latency: ['family'],
  plan: ['latency'],
  scheduler: ['plan', 'latency', 'engine', 'runtime', 'image'],
  router: [],
  image: [],
  family: [],
  'otel-config.ts': ['config-values.ts'],
  telemetry: ['config.ts', 'otel-config.ts'],
  'config.ts': ['config-values.ts', 'runtime', 'weights', 'otel-config.ts'],
  access: ['config.ts', 'scheduler', 'telemetry'],
  'picture-spans.ts': ['scheduler', 'router', 'telemetry'],
  'classify.ts': [
    'config.ts',
    'scheduler',
    'latency',
    'engine',
    'router',
    'image',
    'family',
    'telemetry',
    'picture-spans.ts',
  ],
  oip: ['classify.ts', 'image', 'family', 'telemetry'],
  http: [
    'access',
    'oip',
    'config.ts',
    'config-values.ts',
    'classify.ts',
    'plan',
    'scheduler',
    'image',
    'latency',
    'runtime',
    'family',
    'telemetry',
  ],
  grpc: ['access', 'http', 'oip', 'config.ts', 'classify.ts', 'image', 'telemetry'],
  load: ['http'],
  'serve.ts': ['runtime', 'app.ts', 'config.ts', 'ending.ts', 'telemetry'],
  'main.ts': ['serve.ts'],
  cli: ['serve.ts', 'app.ts', 'load', 'http', 'access', 'router', 'family', 'config.ts', 'runtime', 'telemetry'],
  'cli.ts': ['cli'],
};
const SHARED = [
  'digits.ts',
  'errors.ts',
  'file-digest.ts',
  'get-or-insert.ts',
  'listeners.ts',
  'own-folder.ts',
  'start-progress.ts',
  'family/instance.ts',
];
/** Files that connect the layers, and so may import all of them. */
const ABOVE_ALL = [
  'agreement.ts',
  'app.ts',
  'contracts.ts',
  'cpu-watch.ts',
  'default-budget.ts',
  'draining.ts',
  'ending.ts',
  'example-environment.ts',
  'families.ts',
  'gauges.ts',
  'host-latency.ts',
  'networks.ts',
  'rehearsal.ts',
  'repository.ts',
];

function importsOf(file: string): string[] {
  const text = readFileSync(join(SRC, file), 'utf8');
  return [...text.matchAll(/\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)].map((m) => m[1] as string);
}
const layerOf = (file: string) => (file.includes('/') ? (file.split('/')[0] as string) : file);

t.test('every file belongs to a layer', (t) => {
  t.same(
    FILES.filter((f) => !(layerOf(f) in MAY_IMPORT) && !ABOVE_ALL.includes(f)),
    [],
  );
  t.same(
    [...Object.keys(MAY_IMPORT), ...ABOVE_ALL].filter((l) => !FILES.some((f) => layerOf(f) === l)),
    [],
    'and every layer has one',
  );
  t.end();
});

for (const file of FILES.filter((f) => layerOf(f) in MAY_IMPORT)) {
  t.test(`${file} imports no layer above it`, (t) => {
    for (const name of importsOf(file).filter((i) => i.startsWith('.'))) {
      const target = relative(SRC, resolve(SRC, dirname(file), name)).replace(/\.js$/, '.ts');
      const allowed = [layerOf(file), ...(MAY_IMPORT[layerOf(file)] as string[])];
      t.ok(SHARED.includes(target) || allowed.includes(layerOf(target)), `${file} -> ${target}`);
    }
    t.end();
  });
}

t.test('onnxruntime is imported by two threads only, one that runs and one that builds; sharp by one file', (t) => {
  const importing = (name: string) => FILES.filter((f) => importsOf(f).includes(name)).sort();
  t.same(
    importing('onnxruntime-node'),
    ['runtime/session-options.ts', 'runtime/worker.ts', 'weights/worker.ts'],
    'the former for its types',
  );
  t.match(
    readFileSync(join(SRC, 'runtime/session-options.ts'), 'utf8'),
    "import type { InferenceSession } from 'onnxruntime-node'",
  );
  t.same(importing('sharp'), ['image/inspect.ts', 'image/sharp.ts'], 'the former for its types');
  t.match(readFileSync(join(SRC, 'image/inspect.ts'), 'utf8'), "import type { Metadata } from 'sharp'");
  t.end();
});

t.test('OpenTelemetry is loaded by one import, which is made only if traces are sent', (t) => {
  const importing = (name: RegExp) => FILES.filter((f) => importsOf(f).some((i) => name.test(i))).sort();
  t.same(importing(/^@opentelemetry\/|^@fastify\/otel/), ['telemetry/otel.ts', 'telemetry/sending.ts']);
  t.same(importing(/\/sending\.js$/), ['telemetry/otel.ts']);
  t.same(importing(/\/otel\.js$/), ['telemetry/tracing.ts']);
  t.match(readFileSync(join(SRC, 'telemetry/tracing.ts'), 'utf8'), "await import('./otel.js')");
  t.end();
});

t.test('the page imports nothing of the service but the types of its schemas', (t) => {
  const web = fileURLToPath(new URL('../web/src', import.meta.url));
  const files = readdirSync(web).filter((f) => /\.tsx?$/.test(f));
  const outside = files.flatMap((file) =>
    readFileSync(join(web, file), 'utf8')
      .split('\n')
      .filter((line) => /from '\.\.\//.test(line)),
  );
  t.ok(files.length > 0);
  t.ok(
    outside.every((line) => /^import type .* from '\.\.\/\.\.\/src\/http\/schemas\.ts';$/.test(line)),
    outside.join(' '),
  );
  t.end();
});

t.test('no file of src/ has more than 300 lines', (t) => {
  for (const file of FILES) t.ok(readFileSync(join(SRC, file), 'utf8').split('\n').length <= 300, file);
  t.end();
});
