import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fastify from 'fastify';
import t from 'tap';
import { configSchema, readConfig } from '../src/config.js';
import { refuseAfterMs } from '../src/draining.js';
import { exampleEnvironment } from '../src/example-environment.js';
import { temporaryFolder } from './support/app.js';

t.test('defaults are those of the schema, threads those of the machine', (t) => {
  const config = readConfig({});
  t.match(config, { PORT: 8080, MAX_QUEUE: 256, DEFAULT_BUDGET: '', EXECUTION_PROVIDER: 'cpu', ONNX_THREADS: 1 });
  t.equal(config.ENGINE_THREADS, config.CPUS);
  t.equal(readConfig({ EXECUTION_PROVIDER: 'cuda' }).ENGINE_THREADS, 1, 'one engine thread for a GPU');
  t.equal(readConfig({ ONNX_THREADS: String(2 * config.CPUS) }).ENGINE_THREADS, 1, 'never none');
  t.equal(config.MAX_WAIT_MS, 10_000);
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

t.test('keys are those that a client can send: without spaces at their ends', (t) => {
  const keys = ['first-key-01234567', 'second-key-0123456'];
  t.same(readConfig({ API_KEYS: `${keys[0]}, ${keys[1]}\n` }).API_KEYS, keys);
  t.throws(() => readConfig({ API_KEYS: `${' '.repeat(12)}short` }), { name: 'StartError', message: /API_KEYS=/ });
  t.end();
});

t.test('every number has a largest value, and is written in decimal digits', (t) => {
  const numbers = Object.entries(configSchema.shape).flatMap(([key, schema]) =>
    typeof schema.safeParse('1').data === 'number' ? [key] : [],
  );
  t.ok(numbers.includes('ENGINE_THREADS') && numbers.includes('SHADOW_SHARE') && numbers.length > 12, `${numbers}`);
  for (const key of numbers) {
    for (const value of [
      '1e12',
      '1000000000000000',
      '0x10',
      '1e2',
      ' 5',
      '5 ',
      '+5',
      '-1',
      '٥',
      'Infinity',
      'NaN',
      '1_0',
      '9'.repeat(400),
    ]) {
      t.throws(
        () => readConfig({ [key]: value }),
        { name: 'StartError', message: new RegExp(`^[\\s\\S]*${key}=`) },
        `${key}=${value}`,
      );
    }
  }
  t.equal(readConfig({ MAX_QUEUE: '0512' }).MAX_QUEUE, 512);
  t.equal(readConfig({ SHADOW_SHARE: '0.25' }).SHADOW_SHARE, 0.25);
  for (const value of ['.5', '5.', '0.5.5', '1.5'])
    t.throws(() => readConfig({ SHADOW_SHARE: value }), { name: 'StartError' });
  t.end();
});

t.test('a timeout that is too long for a timer is refused', (t) => {
  for (const key of ['DRAIN_TIMEOUT_MS', 'DRAIN_DELAY_MS', 'REQUEST_TIMEOUT_MS', 'MAX_WAIT_MS']) {
    t.throws(() => readConfig({ [key]: '2147483648' }), { name: 'StartError' }, 'setTimeout would come at once');
    const longest = { DRAIN_TIMEOUT_MS: '3600000', [key]: key === 'DRAIN_DELAY_MS' ? '3599999' : '3600000' };
    t.equal(readConfig(longest)[key as 'MAX_WAIT_MS'], Number(longest[key]));
  }
  t.end();
});

t.test('requests are served for a part of the time to drain, not for all of it', (t) => {
  const { DRAIN_DELAY_MS, DRAIN_TIMEOUT_MS } = readConfig({});
  t.ok(DRAIN_DELAY_MS > 0 && DRAIN_DELAY_MS < refuseAfterMs(DRAIN_TIMEOUT_MS), 'by default');
  t.equal(readConfig({ DRAIN_DELAY_MS: '0', DRAIN_TIMEOUT_MS: '1' }).DRAIN_DELAY_MS, 0);
  for (const DRAIN_DELAY_MS of ['1000', '1001']) {
    t.throws(() => readConfig({ DRAIN_DELAY_MS, DRAIN_TIMEOUT_MS: '1000' }), {
      name: 'StartError',
      message: new RegExp(`DRAIN_DELAY_MS=${DRAIN_DELAY_MS}: expected less than DRAIN_TIMEOUT_MS=1000`),
    });
  }
  t.end();
});

t.test('proxies that are believed are addresses and ranges, and never everybody by one word', (t) => {
  const all = ['10.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8', '2001:db8::1/128', 'loopback', 'linklocal', 'uniquelocal'];
  const together = all.join(', ');
  t.equal(readConfig({ TRUST_PROXY: together }).TRUST_PROXY, together);
  t.doesNotThrow(() => fastify({ trustProxy: together }), 'fastify reads them as well');
  t.equal(readConfig({}).TRUST_PROXY, '');
  const wrong = ['true', '1', 'proxy.example.com', '10.0.0.0/33', '10.0.0.0/0', '10.0.0.0/', '::1/129', 'fe80::1%eth0'];
  for (const text of [...wrong, '10.0.0.1,', '10.0.0.0/8/8', '10.0.0.0/255.0.0.0', '*']) {
    t.throws(
      () => readConfig({ TRUST_PROXY: text }),
      { name: 'StartError', message: /TRUST_PROXY=.*no address of a proxy/ },
      text,
    );
  }
  t.end();
});

t.test('threads are bounded by the CPUs, those inside runs counted', (t) => {
  const { CPUS } = readConfig({});
  const most = String(4 * CPUS);
  t.equal(readConfig({ ENGINE_THREADS: most }).ENGINE_THREADS, 4 * CPUS);
  t.equal(readConfig({ ONNX_THREADS: most }).ENGINE_THREADS, 1);
  for (const [ENGINE_THREADS, ONNX_THREADS] of [
    [String(4 * CPUS + 1), '1'],
    [most, '2'],
    ['2', most],
  ]) {
    t.throws(() => readConfig({ ENGINE_THREADS, ONNX_THREADS }), {
      name: 'StartError',
      message: new RegExp(`ENGINE_THREADS=${ENGINE_THREADS} x ONNX_THREADS=${ONNX_THREADS}: expected at most ${most}`),
    });
  }
  t.end();
});

t.test('the cache is this user’s own', (t) => {
  const folder = temporaryFolder(t);
  t.equal(readConfig({ HOME: folder }).CACHE_DIR, join(folder, '.cache', 'dimmer'));
  t.equal(readConfig({ HOME: folder, XDG_CACHE_HOME: '/elsewhere' }).CACHE_DIR, '/elsewhere/dimmer');
  t.equal(
    readConfig({ HOME: folder, XDG_CACHE_HOME: 'elsewhere' }).CACHE_DIR,
    join(folder, '.cache', 'dimmer'),
    'a relative one counts for nothing',
  );
  const homeless = readConfig({ HOME: join(folder, 'none'), TMPDIR: folder }).CACHE_DIR;
  t.match(homeless, new RegExp(`^${folder}/dimmer-cache-`));
  t.match(homeless, String(process.geteuid?.() ?? 'user'));
  t.equal(readConfig({ HOME: folder, CACHE_DIR: '/my/own' }).CACHE_DIR, '/my/own');
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
