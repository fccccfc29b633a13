/** How the real process ends: signals, time limits, exit codes. */
import t, { type Test } from 'tap';
import { classify, picture, until } from './support/app.js';
import { readyAt, start } from './support/process.js';
import { open } from './support/raw.js';

/** A service with an endless upload, which only the end of the service can finish. */
async function withEndless(t: Test, environment: Record<string, string>) {
  const service = start(t, { REHEARSAL_REQUESTS: '0', ...environment });
  const url = await readyAt(service);
  const socket = open(url);
  const more = setInterval(() => socket.write('x'), 50);
  t.teardown(() => {
    clearInterval(more);
    socket.destroy();
  });
  let answer = '';
  socket.on('data', (data) => {
    answer += data;
  });
  socket.write('POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nx');
  // Another connection is answered after this one was read.
  await (await fetch(`${url}/healthz`)).text();
  return { ...service, answer: () => answer };
}

t.test('open connections do not hold up the end', async (t) => {
  const service = start(t, { REHEARSAL_REQUESTS: '0' });
  const url = await readyAt(service);
  const silent = open(url);
  const half = open(url);
  half.write('POST /classify HTTP/1.1\r\nHo');
  t.teardown(() => [silent, half].map((socket) => socket.destroy()));
  await (await fetch(`${url}/healthz`)).text();
  const closed = Promise.all([silent, half].map((s) => new Promise((resolve) => s.resume().once('end', resolve))));
  service.child.kill('SIGTERM');
  t.equal(await service.exit, 0);
  await closed;
  t.notMatch(service.text(), /takes too long|killed/);
});

t.test('when the time to drain is over the rest is refused, and the end is a clean one', async (t) => {
  const service = await withEndless(t, { DRAIN_TIMEOUT_MS: '300' });
  service.child.kill('SIGTERM');
  t.equal(await service.exit, 0);
  t.match(service.answer(), /^HTTP\/1.1 503 .*problem:draining/s);
  t.notMatch(service.text(), /killed/);
});

t.test('a second signal hurries, and does not abort', async (t) => {
  const service = await withEndless(t, { DRAIN_TIMEOUT_MS: '60000' });
  service.child.kill('SIGTERM');
  // What comes right behind is the same signal, passed on by npm, and changes nothing.
  await until(() => /"msg":"draining"/.test(service.text()));
  service.child.kill('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 600));
  service.child.kill('SIGINT');
  t.equal(await service.exit, 0);
  t.match(service.answer(), /^HTTP\/1.1 503 .*problem:draining/s);
  t.equal(service.text().match(/"msg":"asked again to end"/g)?.length, 1);
  t.notMatch(service.text(), /killed/);
});

t.test('SIGTERM: requests are served for DRAIN_DELAY_MS; a second signal ends that, cleanly', async (t) => {
  // Longer than any host takes for what follows.
  const delay = { DRAIN_DELAY_MS: '600000', DRAIN_TIMEOUT_MS: '1200000' };
  const service = start(t, { REHEARSAL_REQUESTS: '0', ...delay });
  const url = await readyAt(service);
  service.child.kill('SIGTERM');
  await until(() => /requests are still served/.test(service.text()));
  t.equal((await fetch(`${url}/readyz`)).status, 503);
  const answer = await classify(url, await picture());
  t.equal(answer.status, 200);
  t.equal(answer.headers.get('connection'), 'close');
  await new Promise((resolve) => setTimeout(resolve, 600)); // what comes right behind is the same signal
  service.child.kill('SIGTERM');
  t.equal(await service.exit, 0);
  t.notMatch(service.text(), /killed/);
});

t.test('a signal while the service starts', async (t) => {
  const service = start(t);
  await until(() => /"msg":"listening"/.test(service.text()));
  service.child.kill('SIGTERM');
  t.equal(await service.exit, 0);
  t.match(service.text(), /"msg":"not started"/);
  t.notMatch(service.text(), /"msg":"ready"|"level":"fatal"/);
});
