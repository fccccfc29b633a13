import t from 'tap';
import type { Decoded, DecodeOptions } from '../../src/image/decoder.js';
import { DecodeStage } from '../../src/scheduler/decoding.js';
import { FakeClock, settle } from '../support/fake-clock.js';

const RESIZE = { size: 16, crop: 16, kernel: 'cubic', alpha: 'white' } as const;
const [THUMBNAIL, PHOTOGRAPH] = [1000, 1_000_000];

/** A stage whose decodes take as long as the test says. */
function setUp(cpus: number) {
  const clock = new FakeClock();
  const begun: { bytes: number; long: boolean; end: (ms: number) => void; fail: (error: Error) => void }[] = [];
  const decoder = {
    most: cpus + 1,
    limit: cpus + 1,
    stuckMs: 0,
    alive: cpus + 1,
    decode: (image: Uint8Array, _rule: unknown, { long }: DecodeOptions) =>
      new Promise<Decoded>((resolve, reject) => {
        const end = (ms: number) => resolve({ pixels: new Uint8Array(), ms });
        begun.push({ bytes: image.length, long, end, fail: reject });
      }),
  };
  const stage = new DecodeStage(decoder, cpus, () => clock.now());
  const decode = (bytes: number) =>
    stage.run({ image: new Uint8Array(bytes), family: 'f', resize: RESIZE, signal: new AbortController().signal });
  /** Lets one decode of this size take so long, so that others are expected to. */
  const learn = async (bytes: number, ms: number) => {
    const done = decode(bytes);
    begun.pop()?.end(ms);
    t.equal((await done).ms, ms);
  };
  const expectMs = (bytes: number, family = 'f') => stage.expectMs(new Uint8Array(bytes), family);
  return { stage, decoder, begun, decode, learn, expectMs };
}

t.test('a picture is expected to take as long as those about as large', async (t) => {
  const { stage, learn, expectMs } = setUp(2);
  t.equal(expectMs(PHOTOGRAPH), 0, 'nothing is known');
  await learn(PHOTOGRAPH, 60);
  await learn(THUMBNAIL, 1);
  t.equal(expectMs(PHOTOGRAPH - 9), 60);
  t.equal(expectMs(THUMBNAIL), 1);
  t.equal(expectMs(THUMBNAIL, 'another'), 0, 'families resize to other sizes');
  t.equal(stage.together([60, 1, 1]), 60, 'side by side');
  t.equal(stage.together([60, 60, 60, 60]), 120, 'on two CPUs');
});

t.test('what is ahead shares the CPUs, and photographs are known as long', async (t) => {
  const { stage, begun, decode, learn } = setUp(2);
  await learn(PHOTOGRAPH, 60);
  await learn(THUMBNAIL, 1);
  const all = [PHOTOGRAPH, PHOTOGRAPH, PHOTOGRAPH, THUMBNAIL].map(decode);
  t.same(
    begun.map((b) => b.long),
    [true, true, true, false],
  );
  t.equal(stage.backlogMs, (3 * 60 + 1) / 2);
  t.equal(stage.backlogMs, stage.together([60, 60, 60, 1]), 'both count the same CPUs');
  for (const { end } of begun) end(1);
  await Promise.all(all);
  t.equal(stage.backlogMs, 0);
});

t.test('with enough decoded for the engine threads, one at a time', (t) => {
  const { stage, decoder } = setUp(2);
  stage.ahead(7, 2);
  t.equal(decoder.limit, 3, 'less than half a full batch for each');
  stage.ahead(8, 2);
  t.equal(decoder.limit, 1);
  stage.ahead(0, 2);
  t.equal(decoder.limit, 3);
  t.end();
});

t.test('a decode that fails gives its place back and teaches nothing', async (t) => {
  const { stage, begun, decode, learn, expectMs } = setUp(1);
  await learn(PHOTOGRAPH, 60);
  const failing = decode(PHOTOGRAPH);
  begun[0]?.fail(new Error('broken'));
  await t.rejects(failing, /broken/);
  await settle();
  t.equal(stage.backlogMs, 0);
  t.equal(expectMs(PHOTOGRAPH), 60);
});

t.test('decoding is stuck when nothing could decode, or nothing was decoded for long', (t) => {
  const { stage, decoder } = setUp(1);
  t.notOk(stage.stuck);
  decoder.stuckMs = 5_001;
  t.ok(stage.stuck);
  Object.assign(decoder, { stuckMs: 0, alive: 0 });
  t.ok(stage.stuck);
  t.end();
});
