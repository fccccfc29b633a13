import t from 'tap';
import { Decoder } from '../../src/image/decoder.js';
import { picture } from '../support/app.js';
import { SVG } from '../support/pictures.js';

const RULE = { size: 16, crop: 16, kernel: 'cubic', alpha: 'white' } as const;
const DYING = new URL('../fixtures/dying-decoder.ts', import.meta.url);

t.test('pictures come back as pixels, their bytes are handed over', async (t) => {
  const decoder = new Decoder({ maxPixels: 10_000 });
  t.teardown(() => decoder.close());
  await decoder.warm(RULE);
  const pictures = await Promise.all([picture('png'), picture('jpeg', 90, 90), picture('webp', 30, 20)]);
  const owned = new Uint8Array(pictures[1] as Buffer);
  const decoded = await Promise.all(
    [pictures[0] as Buffer, owned, pictures[2] as Buffer].map((b) => decoder.decode(b, RULE)),
  );
  for (const pixels of decoded) {
    t.equal(pixels.length, 16 * 16 * 3);
    t.equal(pixels.length, pixels.buffer.byteLength, 'a buffer of its own');
    t.ok(Math.abs((pixels[0] as number) - 0xc0) < 8);
  }
  t.equal(owned.length, 0, 'not copied');
});

t.test('bytes that share their buffer with others leave those alone', async (t) => {
  const decoder = new Decoder({ maxPixels: 10_000 });
  t.teardown(() => decoder.close());
  const png = await picture('png');
  const slab = Buffer.concat([Buffer.from('before'), png, Buffer.from('after')]);
  t.not(slab.byteLength, slab.buffer.byteLength, "in Node's pool");
  const part = slab.subarray(6, 6 + png.length);
  t.equal((await decoder.decode(part, RULE)).length, 768);
  t.equal(slab.subarray(0, 6).toString(), 'before');
  t.same(part, png);
});

t.test('errors cross the thread as what they are', async (t) => {
  const decoder = new Decoder({ maxPixels: 1000 });
  t.teardown(() => decoder.close());
  await t.rejects(decoder.decode(SVG, RULE), {
    name: 'DimmerError',
    code: 'unsupported-media',
    facts: { detail: /SVG/ },
  });
  await t.rejects(decoder.decode(await picture('png', 50, 50), RULE), { code: 'image-too-large' });
  const png = await picture('png', 20, 20);
  await t.rejects(decoder.decode(png.subarray(0, png.length - 30), RULE), { code: 'invalid-image' });
});

t.test('a thread that dies fails what it had, and another takes its place', async (t) => {
  const decoder = new Decoder({ maxPixels: 1000 }, DYING);
  t.teardown(() => decoder.close());
  const both = [decoder.decode(Uint8Array.of(1), RULE), decoder.decode(Uint8Array.of(13), RULE)];
  const outcomes = await Promise.allSettled(both);
  t.same(outcomes[0], { status: 'fulfilled', value: Uint8Array.of(1) });
  t.match(outcomes[1], { status: 'rejected', reason: /decoding thread died/ });
  t.same(await decoder.decode(Uint8Array.of(2), RULE), Uint8Array.of(2), 'the next picture');
});

t.test('a decoder that never decoded closes, and a closed one has no thread', async (t) => {
  const decoder = new Decoder({ maxPixels: 1000 }, DYING);
  await decoder.close();
  await decoder.decode(Uint8Array.of(2), RULE);
  await decoder.close();
  t.pass('both returned');
});
