import { readFileSync } from 'node:fs';
import t from 'tap';
import { configSchema, exampleEnvironment, readConfig } from '../src/config.js';

t.test('defaults are those of the schema, threads those of the machine', (t) => {
  const config = readConfig({});
  t.match(config, { PORT: 8080, MAX_QUEUE: 256, DEFAULT_BUDGET: '', EXECUTION_PROVIDER: 'cpu', ONNX_THREADS: 1 });
  t.equal(config.ENGINE_THREADS, config.CPUS);
  t.equal(readConfig({ EXECUTION_PROVIDER: 'cuda' }).ENGINE_THREADS, 1, 'one engine thread for a GPU');
  t.equal(readConfig({ ONNX_THREADS: '1000' }).ENGINE_THREADS, 1);
  t.ok(Object.isFrozen(config));
  t.end();
});

t.test('every bad variable is named, with what it means', (t) => {
  t.throws(() => readConfig({ PORT: '99999', MAX_IMAGES: '-1' }), {
    name: 'StartError',
    message: /PORT=99999: .*port of the service[\s\S]*MAX_IMAGES=-1: .*pictures in one request/,
  });
  t.end();
});

t.test('an empty variable is one that is not set', (t) => {
  t.equal(readConfig({ PORT: '', ADMIN_PORT: '' }).PORT, 8080);
  t.end();
});

t.test('.env.example is made from the schema', (t) => {
  const text = readFileSync(new URL('../.env.example', import.meta.url), 'utf8');
  t.equal(text, exampleEnvironment(), 'run npm run contracts');
  for (const key of Object.keys(configSchema.shape)) t.match(text, `${key}=`);
  t.end();
});
