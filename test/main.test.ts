/** The service as a real process: start, answer, drain, exit codes. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { classify, picture, temporaryFolder } from './support/app.js';
import { readyAt, start } from './support/process.js';

t.test('starts, answers, finishes what it accepted on SIGTERM, and exits with 0', async (t) => {
  const service = start(t);
  const url = await readyAt(service);
  const png = await picture();
  const answers = Array.from({ length: 20 }, () => classify(url, png));
  await Promise.race(answers);
  service.child.kill('SIGTERM');
  const statuses = (await Promise.allSettled(answers)).map((a) =>
    a.status === 'fulfilled' ? a.value.status : 'refused',
  );
  t.ok(statuses.includes(200));
  t.ok(
    statuses.every((s) => s === 200 || s === 503 || s === 'refused'),
    `answered, or refused: ${statuses}`,
  );
  t.equal(await service.exit, 0);
  t.match(service.text(), /"msg":"closed"/);
  t.notOk(existsSync(join(service.home, '.cache/Microsoft')), 'onnxruntime reports nothing');
  t.same(
    readdirSync(service.home).filter((f) => f.startsWith('mat-debug')),
    [],
  );
});

t.test('the second start reads the latency of the first', async (t) => {
  const cache = temporaryFolder(t);
  const delay = { DRAIN_DELAY_MS: '600000', DRAIN_TIMEOUT_MS: '1200000' };
  const first = start(t, { CACHE_DIR: cache, ...delay });
  await readyAt(first);
  t.match(first.text(), /measuring the latency/);
  const second = start(t, { CACHE_DIR: cache, ...delay });
  await readyAt(second);
  // A measurement that a busy host spoilt is not believed, and said so.
  if (/too busy/.test(first.text())) t.match(second.text(), /measuring the latency/);
  else t.notMatch(second.text(), /measuring the latency/);
  for (const { child, exit, text } of [first, second]) {
    child.kill('SIGINT');
    t.equal(await exit, 0);
    t.notMatch(text(), /requests are still served/, 'a person who presses Ctrl-C does not wait for balancers');
  }
});

t.test('without a family the service is alive, but not ready', async (t) => {
  const service = start(t, { MODELS_DIR: temporaryFolder(t) });
  while (!/holds no family/.test(service.text())) await new Promise((resolve) => setTimeout(resolve, 20));
  service.child.kill('SIGTERM');
  t.equal(await service.exit, 0);
  t.notMatch(service.text(), /"msg":"ready"/);
});

t.test('a configuration that cannot work ends the start with exit code 1', async (t) => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ PORT: 'eighty' }, /PORT=eighty/],
    [{ ENGINE_THREADS: '0' }, /ENGINE_THREADS=0/],
    [{ EXECUTION_PROVIDER: 'tpu' }, /EXECUTION_PROVIDER=tpu/],
    [{ DEFAULT_BUDGET: 'cost=5' }, /DEFAULT_BUDGET=cost=5/],
    [{ DEFAULT_BUDGET: 'cost=0.001' }, /DEFAULT_BUDGET=cost=0\.001: tiny has no instance for it.*cost=0\.\d+/],
    [{ DEFAULT_MODEL: 'none' }, /DEFAULT_MODEL=none is not in/],
    [{ MODELS_DIR: '/nowhere' }, /MODELS_DIR=\/nowhere is not a folder/],
    [{ EXECUTION_PROVIDER: 'cuda' }, /cannot start on cuda: .*needs an NVIDIA GPU that this process can see/],
  ];
  for (const [environment, message] of cases) {
    const service = start(t, environment);
    t.equal(await service.exit, 1, `${JSON.stringify(environment)}: ${service.text()}`);
    t.match(service.text(), message);
  }
});
