/** `dimmer` as a process of its own: exit statuses, and a service that starts and ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { classifyDocument, modelsDocument } from '../../src/cli/shapes.js';
import { classify, FAMILIES, picture, temporaryFolder } from '../support/app.js';
import { readyAt } from '../support/process.js';

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

/** Under the same loaders as this test. */
function dimmer(t: Test, args: readonly string[], environment: Record<string, string> = {}) {
  const home = temporaryFolder(t);
  const child = spawn(process.execPath, [...process.execArgv, CLI, ...args], {
    env: { ...process.env, HOME: home, TMPDIR: home, MODELS_DIR: FAMILIES, ...environment },
  });
  t.teardown(() => child.exitCode ?? child.kill('SIGKILL'));
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  const closed = once(child, 'close') as Promise<[number | null]>;
  return { child, text: () => out, done: async () => ({ status: (await closed)[0], out, err }) };
}

t.test('exit statuses are those of the process', async (t) => {
  const [fine, failed, wrong] = await Promise.all([
    dimmer(t, ['models', '--json']).done(),
    dimmer(t, ['models', '--models', '/nowhere']).done(),
    dimmer(t, ['models', '--nonsense']).done(),
  ]);
  t.equal(fine.status, 0);
  t.equal(modelsDocument.parse(JSON.parse(fine.out)).models[0]?.name, 'tiny');
  t.equal(fine.err, '');
  t.equal(failed.status, 1);
  t.equal(wrong.status, 2);
});

t.test('serve: the service as it always starts, with settings as options; a signal ends it', async (t) => {
  const service = dimmer(t, ['serve', '--port', '0', '--host', '127.0.0.1', '--rehearsal-requests', '0'], {
    PORT: '1',
    DRAIN_DELAY_MS: '1',
  });
  const url = await readyAt(service);
  t.equal((await classify(url, await picture())).status, 200);
  service.child.kill('SIGTERM');
  const { status, out, err } = await service.done();
  t.equal(status, 0);
  t.equal(err, '');
  t.ok(
    out
      .trim()
      .split('\n')
      .every((line) => JSON.parse(line).level),
    'the log is JSON lines',
  );
  t.match(out, /"msg":"requests are still served for this time"/, 'as balancers need it');
  t.match(out, /"msg":"closed"/);
});

t.test('classify in process: a signal ends it cleanly, and without one it ends by itself', async (t) => {
  const CACHE_DIR = temporaryFolder(t);
  const waiting = dimmer(t, ['classify', '-'], { CACHE_DIR }); // for stdin, as soon as it is ready
  const measured = () => readdirSync(CACHE_DIR).some((name) => name.startsWith('latency-'));
  while (!measured() && waiting.child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
  waiting.child.kill('SIGINT');
  t.equal((await waiting.done()).status, 130);
  const whole = dimmer(t, ['classify', '--json', '-'], { CACHE_DIR });
  whole.child.stdin.end(await picture());
  const { status, out, err } = await whole.done();
  t.equal(status, 0, err);
  t.match(classifyDocument.parse(JSON.parse(out)).files, [{ file: '-', answer: { model: 'tiny' } }]);
});

t.test('a reader that goes away is no error', async (t) => {
  const { child, done } = dimmer(t, ['serve', '--help']);
  child.stdout.destroy();
  const { status, err } = await done();
  t.equal(status, 0, err);
  t.notMatch(err, /EPIPE/);
});
