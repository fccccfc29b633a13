import t from 'tap';
import type { Decoded, DecodeOptions } from '../../src/image/decoder.js';
import type { Times } from '../../src/latency/model.js';
import { DecodeStage } from '../../src/scheduler/decoding.js';
import { settle } from '../support/fake-clock.js';

const RESIZE = { size: 16, crop: 16, kernel: 'cubic', alpha: 'white' } as const;
const MAX_PIXELS = 50e6;

/** The header of a PNG of so many rows of a thousand pixels. */
function png(thousands: number, width = 1000): Uint8Array {
  const bytes = Buffer.alloc(24);
  bytes.write('\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR', 'latin1');
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(thousands, 20);
  return bytes;
}
const [THUMBNAIL, PHOTOGRAPH] = [png(1), png(12_000)];

/** A stage whose decodes take as long as the test says, and are expected to take 1 ms and 5 for each megapixel. */
function setUp(cpus: number) {
  const begun: { long: boolean; end: (ms: number) => void; fail: (error: Error) => void }[] = [];
  const decoder = {
    most: cpus + 1,
    limit: cpus + 1,
    stuckMs: 0,
    alive: cpus + 1,
    decode: (_image: Uint8Array, _rule: unknown, { long }: DecodeOptions) =>
      new Promise<Decoded>((resolve, reject) => {
        const end = (ms: number) => resolve({ pixels: new Uint8Array(), ms });
        begun.push({ long, end, fail: reject });
      }),
  };
  const told: unknown[][] = [];
  const model = {
    decode: (family: string, _kind: string, megapixels: number): Times => {
      const ms = (family === 'f' ? 1 : 2) + 5 * megapixels;
      return { meanMs: ms, highMs: 2 * ms, idleMs: 0.5 * ms, cpuMs: ms };
    },
    decoded: (...its: unknown[]) => told.push(its),
  };
  const stage = new DecodeStage(decoder, cpus, model, MAX_PIXELS);
  const decode = (image: Uint8Array) =>
    stage.run({ image, family: 'f', resize: RESIZE, signal: new AbortController().signal });
  return { stage, decoder, begun, decode, told };
}

t.test('a picture is expected to take what its header says', (t) => {
  const { stage } = setUp(2);
  t.equal(stage.expectMs(PHOTOGRAPH, 'f'), 61);
  t.equal(stage.leastMs(PHOTOGRAPH, 'f'), 30.5);
  t.equal(stage.expectMs(THUMBNAIL, 'f'), 1.005);
  t.equal(stage.expectMs(THUMBNAIL, 'another'), 2.005, 'families resize to other sizes');
  t.equal(stage.together([60, 1, 1]), 60, 'side by side');
  t.equal(stage.together([60, 60, 60, 60]), 120, 'on two CPUs');
  t.end();
});

t.test('a header that says more than is taken is refused by it, and holds up nobody', (t) => {
  const { stage, decode, begun } = setUp(1);
  t.equal(stage.expectMs(png(50_000), 'f'), 251, 'just taken');
  for (const image of [png(50_001), png(0xffffffff, 0xffffffff)]) {
    t.equal(stage.expectMs(image, 'f'), 1);
    void decode(image);
  }
  t.equal(stage.backlogMs, 2);
  t.same(
    begun.map((b) => b.long),
    [false, false],
  );
  t.end();
});

t.test('what a decode took is told, with what the header said', async (t) => {
  const { decode, begun, told } = setUp(1);
  const done = decode(PHOTOGRAPH);
  begun[0]?.end(70);
  t.equal((await done).ms, 70);
  t.same(told, [['f', 'PNG', 12, 70]]);
});

t.test('what is ahead shares the CPUs, and photographs are known as long', async (t) => {
  const { stage, begun, decode } = setUp(2);
  const all = [PHOTOGRAPH, PHOTOGRAPH, PHOTOGRAPH, THUMBNAIL].map(decode);
  t.same(
    begun.map((b) => b.long),
    [true, true, true, false],
  );
  t.equal(stage.backlogMs, (3 * 61 + 1.005) / 2);
  t.equal(stage.backlogMs, stage.together([61, 61, 61, 1.005]), 'both count the same CPUs');
  for (const { end } of begun) end(1);
  await Promise.all(all);
  t.ok(Math.abs(stage.backlogMs) < 1e-9);
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
  const { stage, begun, decode, told } = setUp(1);
  const failing = decode(PHOTOGRAPH);
  begun[0]?.fail(new Error('broken'));
  await t.rejects(failing, /broken/);
  await settle();
  t.equal(stage.backlogMs, 0);
  t.same(told, []);
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
