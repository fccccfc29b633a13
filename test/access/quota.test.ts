/** Token buckets: requests are paid before, FLOPs afterwards. */
import t from 'tap';
import { type Client, type Limits, Quotas, quotaExceeded } from '../../src/access/quota.js';
import { FakeClock } from '../support/fake-clock.js';

const MINUTE = 60_000;
const ALICE = { key: 'alice' };
const at = (n: number | string): Client => ({ address: `address ${n}` });

function quotas(limits: Limits, max?: number) {
  const clock = new FakeClock();
  return { clock, all: new Quotas(limits, clock, max) };
}

t.test('requests: so many at once, and then as many as flow in', async (t) => {
  const { clock, all } = quotas({ requests: 6 });
  t.same(all.take(ALICE), { usedUp: [], left: [{ unit: 'requests', limit: 6, remaining: 5, moreInS: 10 }] });
  for (let n = 0; n < 5; n++) t.same(all.take(ALICE).usedUp, []);
  t.same(all.take(ALICE), { usedUp: ['requests'], left: [{ unit: 'requests', limit: 6, remaining: 0, moreInS: 10 }] });
  await clock.pass(9_999);
  t.match(
    all.take(ALICE),
    { usedUp: ['requests'], left: [{ moreInS: 1 }] },
    'a refusal takes nothing and gives nothing',
  );
  await clock.pass(1);
  t.match(all.take(ALICE), { usedUp: [] });
  t.match(all.take(ALICE), { usedUp: ['requests'] });
  await clock.pass(1000 * MINUTE);
  for (let n = 0; n < 6; n++) t.same(all.take(ALICE).usedUp, [], 'after any silence the quota of a minute, not more');
  t.match(all.take(ALICE), { usedUp: ['requests'] });
});

t.test('FLOPs: charged by what ran, refused while the balance is not above 0', async (t) => {
  const { clock, all } = quotas({ flops: 6000 });
  t.same(all.take(ALICE), { usedUp: [], left: [{ unit: 'flops', limit: 6000, remaining: 6000, moreInS: undefined }] });
  t.same(all.take(ALICE).usedUp, [], 'nobody knows yet what a request costs');
  all.charge(ALICE, 5999);
  t.match(all.take(ALICE), { usedUp: [], left: [{ remaining: 1 }] }, 'however much the next one will cost');
  all.charge(ALICE, 1);
  t.match(all.take(ALICE), { usedUp: ['flops'], left: [{ remaining: 0, moreInS: 1 }] }, '0 is not above 0');
  all.charge(ALICE, 3000);
  t.match(all.take(ALICE), { usedUp: ['flops'], left: [{ remaining: 0, moreInS: 31 }] }, 'a debt is paid first');
  await clock.pass(30_000);
  t.match(all.take(ALICE), { usedUp: ['flops'] });
  await clock.pass(1000);
  t.match(all.take(ALICE), { usedUp: [], left: [{ remaining: 100 }] });
});

t.test('what is refused for one unit takes nothing of the other', async (t) => {
  const { clock, all } = quotas({ requests: 1, flops: 60 });
  all.charge(ALICE, 90);
  t.match(all.take(ALICE), { usedUp: ['flops'], left: [{ remaining: 1 }, { remaining: 0, moreInS: 31 }] });
  await clock.pass(31_000);
  t.match(all.take(ALICE), { usedUp: [], left: [{ unit: 'requests', remaining: 0 }, { unit: 'flops' }] });
  all.charge(ALICE, 31);
  const { usedUp, left } = all.take(ALICE);
  t.same(usedUp, ['requests', 'flops']);
  t.match(
    quotaExceeded(usedUp, left).facts,
    {
      retryAfterS: 60,
      members: { 'violated-policies': ['requests', 'flops'] },
      expected: /QUOTA_PER_MINUTE.*QUOTA_FLOPS/,
    },
    'when both are there again',
  );
});

t.test('nothing is counted where nothing is limited', (t) => {
  const { all } = quotas({});
  t.notOk(all.any);
  all.charge(ALICE, 1e18);
  t.same(all.take(ALICE), { usedUp: [], left: [] });
  t.end();
});

t.test('a full table drops no client', async (t) => {
  const { clock, all } = quotas({ requests: 6 }, 100);
  const left = (client: Client) => all.take(client).left[0]?.remaining;
  for (let n = 0; n < 4; n++) left(at('first'));
  left(ALICE);
  for (let n = 0; n < 1000; n++) left(at(n));
  t.equal(all.size, 100, 'memory is bounded');
  t.equal(left(at('first')), 1, 'a count that is there stays');
  t.same(all.take(at('new')).usedUp, ['requests'], 'those without a place share a quota');
  t.equal(left(ALICE), 4, 'keys have their own whatever addresses do');
  t.equal(left({ key: 'bob' }), 5);
  await clock.pass(MINUTE);
  t.equal(left(at('new')), 5, 'there is room again');
  t.equal(all.size, 1);
});

t.test('a debt is not forgotten, however many addresses come', async (t) => {
  const { clock, all } = quotas({ flops: 60 }, 3);
  all.charge(at('debtor'), 60 + 120);
  await clock.pass(2 * MINUTE - 1);
  for (let n = 0; n < 10; n++) all.take(at(n));
  t.same(all.take(at('debtor')).usedUp, ['flops']);
  await clock.pass(2);
  t.same(all.take(at('debtor')).usedUp, []);
});

t.test('a key that is gone has no account', (t) => {
  const { all } = quotas({ requests: 5 });
  all.take(ALICE);
  all.take({ key: 'bob' });
  all.keepKeys(['alice']);
  t.equal(all.take(ALICE).left[0]?.remaining, 3);
  t.equal(all.take({ key: 'bob' }).left[0]?.remaining, 4);
  t.end();
});
