/** Quotas over HTTP: who is counted together, and what an answer says. */
import t from 'tap';
import { clientOf } from '../../src/http/quota.js';
import { problem as problemSchema } from '../../src/http/schemas.js';
import { classify, picture, readyApp, until } from '../support/app.js';
import { FakeClock } from '../support/fake-clock.js';
import { open } from '../support/raw.js';

const KEY = 'my-key-0123456789';

t.test('the wall clock does not matter to a quota', async (t) => {
  const clock = new FakeClock();
  const { url } = await readyApp(t, { QUOTA_PER_MINUTE: '1' }, { clock });
  const png = await picture();
  const post = async () => (await classify(url, png)).status;
  t.equal(await post(), 200);
  t.equal(await post(), 429);
  const { now } = Date;
  t.teardown(() => Object.assign(Date, { now }));
  Date.now = () => now() + 3_600_000;
  t.equal(await post(), 429, 'an hour forth');
  Date.now = () => now() - 3_600_000;
  await clock.pass(60_000);
  t.equal(await post(), 200, 'an hour back');
});

t.test('answers say what is left, and a refusal when there is more', async (t) => {
  const clock = new FakeClock();
  const { app, url } = await readyApp(
    t,
    { QUOTA_PER_MINUTE: '2', QUOTA_FLOPS_PER_MINUTE: '6000000', API_KEYS: KEY },
    { clock },
  );
  const png = await picture();
  const post = (headers: Record<string, string> = { 'X-Api-Key': KEY }) => classify(url, png, headers);
  const first = await post();
  t.equal(first.status, 200);
  t.equal(first.headers.get('ratelimit-policy'), '"requests";q=2;w=60, "flops";q=6000000;qu="flops";w=60');
  t.equal(
    first.headers.get('ratelimit'),
    '"requests";r=1;t=30, "flops";r=6000000',
    'of what ran it is told by the next',
  );
  const { results } = (await first.json()) as { results: { cost: { flops: number } }[] };
  const flops = results[0]?.cost.flops as number;
  t.ok(flops > 0);
  const second = await post();
  t.equal(second.headers.get('ratelimit'), `"requests";r=0;t=30, "flops";r=${6_000_000 - flops};t=1`);
  await second.text();
  const third = await post();
  t.equal(third.status, 429);
  t.equal(third.headers.get('retry-after'), '30');
  t.match(third.headers.get('ratelimit'), '"requests";r=0;t=30');
  t.equal(third.headers.get('ratelimit-policy'), first.headers.get('ratelimit-policy'));
  t.match(problemSchema.parse(await third.json()), { 'violated-policies': ['requests'] });
  t.equal((await post({})).status, 200, 'others have their own');
  t.equal((await fetch(`${url}/models`)).headers.get('ratelimit'), null, 'where nothing is counted');
  t.match(
    await app.state.metrics.registry.metrics(),
    `dimmer_client_flops_total{key="API_KEYS[1]"} ${2 * flops}`,
    'what a customer has had',
  );
});

t.test('FLOPs are charged by what ran: less for a smaller budget, and also for whoever does not wait', async (t) => {
  const clock = new FakeClock();
  const { app, url, runtime } = await readyApp(t, { QUOTA_FLOPS_PER_MINUTE: '10000000' }, { clock });
  const png = await picture();
  const left = () => app.state.access.quotas.take({ address: '127.0.0.1' }).left[0]?.remaining as number;
  const costs: number[] = [];
  for (const budget of ['cost=1', 'cost=0.4']) {
    const before = left();
    const answer = await classify(url, png, { 'Inference-Budget': budget });
    const { results } = (await answer.json()) as { results: { cost: { flops: number } }[] };
    t.equal(before - left(), results[0]?.cost.flops, budget);
    costs.push(results[0]?.cost.flops as number);
  }
  t.ok((costs[1] as number) < (costs[0] as number));

  const before = left();
  await classify(url, Buffer.from('no picture'));
  t.equal(left(), before, 'nothing ran');

  runtime.held = true;
  const socket = open(url);
  socket.write(`POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: ${png.length}\r\n\r\n`);
  socket.write(png);
  await until(() => runtime.runs.length === 1);
  socket.destroy();
  await until(() => app.state.inFlight.size === 0);
  for (const run of [...runtime.runs]) run.finish();
  await until(() => left() < before);
  t.equal(before - left(), costs[0], 'the client has gone, and the network has run');
});

t.test('a client in debt waits until its balance is above 0', async (t) => {
  const clock = new FakeClock();
  const { url } = await readyApp(t, { QUOTA_FLOPS_PER_MINUTE: '1' }, { clock });
  const png = await picture();
  const answer = await classify(url, png);
  t.equal(answer.status, 200, 'it had one');
  const refused = await classify(url, png);
  t.equal(refused.status, 429);
  const { results } = (await answer.json()) as { results: { cost: { flops: number } }[] };
  t.equal(refused.headers.get('retry-after'), String(60 * (results[0]?.cost.flops as number)));
  const { detail, expected, action } = problemSchema.parse(await refused.json());
  t.match(detail, 'FLOPs');
  t.match(expected, 'QUOTA_FLOPS_PER_MINUTE');
  t.match(action, 'cost=');
  await clock.pass(60_000 * (results[0]?.cost.flops as number));
  t.equal((await classify(url, png)).status, 200);
});

t.test('a /64 of IPv6, an IPv4 address and an API key are one client each', (t) => {
  const of = (ip: string, keyName?: string) =>
    clientOf({ ip, keyName, raw: { socket: { remoteAddress: '10.9.9.9' } } } as never);
  t.same(of('2001:db8:1:2::1'), of('2001:db8:1:2:ffff:ffff:ffff:ffff'), 'a /64 of IPv6');
  t.notSame(of('2001:db8:1:2::1'), of('2001:db8:1:3::1'));
  t.same(of('::ffff:192.0.2.1'), of('192.0.2.1'), 'IPv4 written as IPv6');
  t.same(of('::ffff:c000:201'), of('192.0.2.1'));
  t.notSame(of('::ffff:192.0.2.1'), of('::ffff:192.0.2.2'));
  t.same(of('192.0.2.1', 'alice'), of('192.0.2.2', 'alice'));
  for (const text of ['unknown', '192.0.2.1:5678', 'x'.repeat(1000), '']) {
    t.same(of(text), of('10.9.9.9'), 'no address, so that of the connection');
  }
  t.end();
});

t.test('X-Forwarded-For is believed of TRUST_PROXY alone', async (t) => {
  const png = await picture();
  const asked = async (url: string, forwarded: string) =>
    (await classify(url, png, { 'X-Forwarded-For': forwarded })).status;
  const believing = await readyApp(t, { QUOTA_PER_MINUTE: '1', TRUST_PROXY: '10.0.0.0/8, loopback' });
  t.equal(await asked(believing.url, '192.0.2.1'), 200);
  t.equal(await asked(believing.url, '192.0.2.2'), 200, 'another client of the same proxy');
  t.equal(await asked(believing.url, '192.0.2.1'), 429);
  t.equal(
    await asked(believing.url, '198.51.100.7, 192.0.2.1, 10.1.2.3'),
    429,
    'what the client itself has written counts for nothing',
  );
  for (const environment of [{}, { TRUST_PROXY: '192.0.2.0/24' }] as Record<string, string>[]) {
    const { url } = await readyApp(t, { QUOTA_PER_MINUTE: '1', ...environment });
    t.equal(await asked(url, '192.0.2.1'), 200);
    t.equal(await asked(url, '192.0.2.2'), 429, 'not believed');
  }
});
