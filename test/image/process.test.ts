import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { ChildDecoder, inherited } from '../../src/image/process.js';
import { picture, until } from '../support/app.js';

const RULE = { size: 16, crop: 16, kernel: 'cubic', alpha: 'white' } as const;
const decode = (bytes: Uint8Array, memoryBytes: number, long = false) =>
  ({ type: 'decode', bytes, rule: RULE, limits: { maxPixels: 2_000_000 }, memoryBytes, long }) as const;

t.test('a process decodes, says what it lacks, and ends when it is told', async (t) => {
  const process = new ChildDecoder();
  await process.ready;
  t.equal((await process.ask(decode(await picture(), 1e9))).type, 'bytes');
  t.match(await process.ask(decode(await picture(), 0)), { type: 'needs-memory', memoryBytes: Number });
  const large = await picture('png', 1001, 1000);
  t.match(await process.ask(decode(large, 1e9)), { type: 'takes-long' }, 'and may not');
  t.match(await process.ask(decode(large, 1e9, true)), { type: 'bytes' });
  t.match(await process.ask(decode(Buffer.from('text'), 1e9)), { type: 'refused', code: 'unsupported-media' });
  t.match(await process.ask({ ...decode(await picture(), 1e9), rule: undefined as never }), { type: 'failed' });
  t.ok(process.cpuMs > 0);
  process.close();
  t.equal(await process.ended, 'exit code 0');
});

t.test('signals for the whole service leave it to the service when a decode ends', async (t) => {
  const child = new ChildDecoder();
  await child.ready;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(child.pid as number, signal);
  t.equal((await child.ask(decode(await picture(), 1e9))).type, 'bytes');
  child.kill();
  t.equal(await child.ended, 'SIGKILL');
});

t.test(
  'a service that dies leaves no process behind',
  { skip: os.platform() !== 'linux' && 'reads /proc' },
  async (t) => {
    const script = fileURLToPath(new URL('../fixtures/dying-service.ts', import.meta.url));
    const service = spawn(process.execPath, [...process.execArgv, script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [text] = (await once(service.stdout, 'data')) as [Buffer];
    const pid = Number(text.toString());
    t.ok(pid > 0);
    // In a container whose first process does not wait for orphans, one that has ended stays as a zombie.
    const gone = () => !existsSync(`/proc/${pid}`) || /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    await until(gone);
  },
);

t.test(
  'keys of clients are not in its environment',
  { skip: os.platform() !== 'linux' && 'reads /proc' },
  async (t) => {
    process.env.API_KEYS = 'a-secret-0123456789';
    t.teardown(() => delete process.env.API_KEYS);
    const child = new ChildDecoder();
    await child.ready;
    const environment = readFileSync(`/proc/${child.pid}/environ`, 'utf8');
    t.match(environment, /UV_THREADPOOL_SIZE=1/);
    t.notMatch(environment, /a-secret-0123456789/);
    child.kill();
    await child.ended;
  },
);

t.test(
  'every thread of it goes behind the service',
  { skip: os.platform() !== 'linux' && 'per thread on Linux' },
  async (t) => {
    const child = new ChildDecoder();
    await child.ready;
    t.equal(os.getPriority(child.pid as number), os.constants.priority.PRIORITY_BELOW_NORMAL);
    child.yieldCpu();
    t.equal(os.getPriority(child.pid as number), os.constants.priority.PRIORITY_LOW);
    child.kill();
    await child.ended;
    child.yieldCpu(); // of one that has gone: nothing
  },
);

t.test('flags for loaders are inherited, those for the service are not, and never a script', (t) => {
  t.same(inherited(['--import', 'x.mjs', '--single-threaded-gc', '--initial-old-space-size=128']), [
    '--import',
    'x.mjs',
    '--single-threaded-gc',
  ]);
  for (const flag of ['-e', '-p', '-pe', '--eval', '--eval=1', '--print', '--input-type=module'])
    t.same(inherited(['--import', 'x.mjs', flag, 'code']), [], flag);
  t.end();
});
