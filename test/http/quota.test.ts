import t from 'tap';
import { clientOf, QuotaTable } from '../../src/http/quota.js';
import { classify, picture, readyApp } from '../support/app.js';
import { FakeClock } from '../support/fake-clock.js';

const current = (table: QuotaTable, client: string) => table.count(client).current;

t.test('a window is a minute of the monotonic clock', async (t) => {
  const clock = new FakeClock();
  const table = new QuotaTable(clock);
  t.same(table.count('address a'), { current: 1, ttl: 60_000 });
  await clock.pass(59_999);
  t.same(table.count('address a'), { current: 2, ttl: 1 });
  await clock.pass(1);
  t.same(table.count('address a'), { current: 1, ttl: 60_000 });
});

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

t.test('a full table drops no client', async (t) => {
  const clock = new FakeClock();
  const table = new QuotaTable(clock, 100);
  for (let n = 0; n < 5; n++) table.count('address first');
  table.count('key 0');
  for (let n = 0; n < 10_000; n++) table.count(`address ${n}`);
  t.equal(table.size, 100, 'memory is bounded');
  t.equal(current(table, 'address first'), 6, 'a count that is there stays');
  t.equal(current(table, 'address new'), 10_000 - 99 + 1, 'those without a place share a quota');
  t.equal(current(table, 'key 0'), 2, 'keys have their own whatever addresses do');
  t.equal(current(table, 'key 1'), 1);
  await clock.pass(60_000);
  t.equal(current(table, 'address new'), 1, 'there is room again');
  t.equal(current(table, 'key 0'), 1);
  t.equal(table.size, 1);
});

t.test('a /64 of IPv6, an IPv4 address and a valid API key are one client each', (t) => {
  const of = clientOf(['a-key-of-sixteen-c']);
  const address = (ip: string) => of({ headers: {}, ip });
  t.equal(address('2001:db8:1:2::1'), address('2001:db8:1:2:ffff:ffff:ffff:ffff'), 'a /64 of IPv6');
  t.not(address('2001:db8:1:2::1'), address('2001:db8:1:3::1'));
  t.equal(address('::ffff:192.0.2.1'), address('192.0.2.1'), 'IPv4 written as IPv6');
  t.equal(address('::ffff:c000:201'), address('192.0.2.1'));
  t.not(address('::ffff:192.0.2.1'), address('::ffff:192.0.2.2'));
  t.equal(address('192.0.2.1'), of({ headers: { 'x-api-key': 'invented' }, ip: '192.0.2.1' }));
  t.not(address('192.0.2.1'), of({ headers: { 'x-api-key': 'a-key-of-sixteen-c' }, ip: '192.0.2.1' }));
  t.end();
});
