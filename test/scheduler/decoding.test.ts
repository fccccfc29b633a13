import t from 'tap';
import { DecodeStage, threadPoolAdvice } from '../../src/scheduler/decoding.js';
import { FakeClock, settle } from '../support/fake-clock.js';

/** A decode of each size that ends when told to. */
function setUp(cpus: number) {
  const clock = new FakeClock();
  const stage = new DecodeStage(cpus, () => clock.now());
  const begun: { name: string; end: () => void }[] = [];
  const decode = (name: string, bytes: number) =>
    stage.run(
      new Uint8Array(bytes),
      'family',
      () =>
        new Promise<string>((resolve) => {
          begun.push({ name, end: () => resolve(name) });
        }),
    );
  const names = () => begun.map((b) => b.name);
  /** Lets one decode of this size take so long, so that others are expected to. */
  const learn = async (bytes: number, ms: number) => {
    const done = decode('first', bytes);
    await settle();
    await clock.pass(ms);
    begun.pop()?.end();
    t.same(await done, ['first', ms]);
  };
  return { clock, stage, begun, decode, names, learn };
}
const [THUMBNAIL, PHOTOGRAPH] = [1000, 1_000_000];

t.test('a picture is expected to take as long as those about as large', async (t) => {
  const { stage, learn } = setUp(2);
  t.equal(stage.expectMs(new Uint8Array(PHOTOGRAPH), 'family'), 0, 'nothing is known');
  await learn(PHOTOGRAPH, 60);
  await learn(THUMBNAIL, 1);
  t.equal(stage.expectMs(new Uint8Array(PHOTOGRAPH - 9), 'family'), 60);
  t.equal(stage.expectMs(new Uint8Array(THUMBNAIL), 'family'), 1);
  t.equal(stage.expectMs(new Uint8Array(THUMBNAIL), 'another'), 0, 'families resize to other sizes');
  t.equal(stage.together([60, 1, 1]), 60, 'side by side');
  t.equal(stage.together([60, 60, 60, 60]), 120, 'on two CPUs');
});

t.test('photographs leave a place for thumbnails', async (t) => {
  const { stage, begun, decode, names, learn } = setUp(2);
  await learn(PHOTOGRAPH, 60);
  await learn(THUMBNAIL, 1);
  const photographs = Array.from({ length: 3 }, () => decode('photograph', PHOTOGRAPH));
  await settle();
  const thumbnails = Array.from({ length: 2 }, () => decode('thumbnail', THUMBNAIL));
  await settle();
  t.same(names(), ['photograph', 'photograph', 'thumbnail'], 'as many as CPUs, and a short one');
  t.equal(stage.backlogMs, (3 * 60 + 2 * 1) / 3);
  begun[2]?.end();
  await settle();
  t.equal(names().at(-1), 'thumbnail', 'its place goes to the next short one');
  begun[0]?.end();
  await settle();
  t.equal(names().at(-1), 'photograph');
  for (const { end } of begun) end();
  await Promise.all([...photographs, ...thumbnails]);
  t.equal(stage.backlogMs, 0);
});

t.test('with enough decoded for the engine threads, one at a time', async (t) => {
  const { stage, begun, decode, names } = setUp(2);
  stage.ahead(7, 2);
  void decode('a', THUMBNAIL);
  void decode('b', THUMBNAIL);
  await settle();
  t.same(names(), ['a', 'b'], 'less than half a full batch for each');
  stage.ahead(8, 2);
  const others = ['c', 'd', 'e', 'f'].map((name) => decode(name, THUMBNAIL));
  await settle();
  t.same(names(), ['a', 'b']);
  begun[0]?.end();
  await settle();
  t.same(names(), ['a', 'b'], 'one is still under way');
  begun[1]?.end();
  await settle();
  t.same(names(), ['a', 'b', 'c'], 'never none');
  stage.ahead(0, 2);
  await settle();
  t.same(names(), ['a', 'b', 'c', 'd', 'e'], 'all at once when the queue is short');
  for (let n = 2; n < 6; n++) {
    begun[n]?.end();
    await settle();
  }
  t.same(await Promise.all(others.map(async (o) => (await o)[0])), ['c', 'd', 'e', 'f']);
});

t.test('a picture whose bytes were used up is still counted among its like', async (t) => {
  const { clock, stage } = setUp(1);
  const bytes = new Uint8Array(PHOTOGRAPH);
  await stage.run(bytes, 'family', async () => {
    structuredClone(bytes, { transfer: [bytes.buffer] });
    await clock.pass(30);
  });
  t.equal(bytes.length, 0);
  t.equal(stage.expectMs(new Uint8Array(PHOTOGRAPH), 'family'), 30);
});

t.test('a decode that fails gives its place back and teaches nothing', async (t) => {
  const { stage, learn } = setUp(1);
  await learn(PHOTOGRAPH, 60);
  await t.rejects(
    stage.run(new Uint8Array(PHOTOGRAPH), 'family', () => Promise.reject(new Error('broken'))),
    /broken/,
  );
  t.equal(stage.backlogMs, 0);
  t.equal(stage.expectMs(new Uint8Array(PHOTOGRAPH), 'family'), 60);
});

t.test('too few threads for the decodes are told, with what to set', (t) => {
  t.match(threadPoolAdvice(9, undefined), /4 threads, and 9 pictures .* UV_THREADPOOL_SIZE=9/);
  t.match(threadPoolAdvice(9, '8'), /8 threads/);
  t.equal(threadPoolAdvice(9, '9'), undefined);
  t.equal(threadPoolAdvice(3, undefined), undefined);
  t.end();
});
