import fc from 'fast-check';
import sharp from 'sharp';
import t from 'tap';
import { peek } from '../../src/image/peek.js';

const SIZE = { width: 70, height: 30 };
const noise = (options: object = {}) =>
  sharp({
    create: { ...SIZE, channels: 3, background: '#888', noise: { type: 'gaussian', mean: 128, sigma: 40 } },
    ...options,
  });
const near = (a: number, b: number) => Math.abs(a - b) < 1e-12;

t.test('headers that say their size are read', async (t) => {
  const files: [string, string, Promise<Buffer>][] = [
    ['JPEG', 'a baseline', noise().jpeg().toBuffer()],
    ['JPEG', 'a progressive', noise().jpeg({ progressive: true }).toBuffer()],
    [
      'JPEG',
      'one with metadata',
      noise()
        .withExif({ IFD0: { Copyright: 'x'.repeat(3000) } })
        .withIccProfile('p3')
        .jpeg()
        .toBuffer(),
    ],
    ['PNG', 'a plain', noise().png().toBuffer()],
    ['GIF', 'a plain', noise().gif().toBuffer()],
    ['WebP', 'a lossy', noise().webp().toBuffer()],
    ['WebP', 'a lossless', noise().webp({ lossless: true }).toBuffer()],
    ['WebP', 'an extended', noise().withIccProfile('p3').webp().toBuffer()],
  ];
  for (const [kind, sort, file] of files) {
    const said = peek(await file);
    t.equal(said.kind, kind, sort);
    t.ok(near(said.megapixels, (SIZE.width * SIZE.height) / 1e6), `${sort} ${kind}: ${said.megapixels}`);
  }
});

t.test('kinds without a size at a fixed place are judged by their bytes', async (t) => {
  for (const [kind, file] of [
    ['AVIF', await noise().avif().toBuffer()],
    ['TIFF', await noise().tiff().toBuffer()],
  ] as const) {
    const said = peek(file);
    t.equal(said.kind, kind);
    t.ok(said.megapixels > 0);
    t.ok(peek(Buffer.concat([file, file])).megapixels > 1.9 * said.megapixels);
  }
});

t.test('whatever the bytes are, there is an answer, of a finite size that is not negative', (t) => {
  const starts = [
    '',
    '\xff\xd8',
    '\xff\xd8\xff',
    '\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR',
    'GIF89a',
    'RIFF....WEBPVP8 ',
    'RIFF....WEBPVP8L',
    'RIFF....WEBPVP8X',
    'II*\0',
    'MM\0*',
    '....ftyp',
  ];
  const sound = (bytes: Uint8Array) => {
    const { kind, megapixels } = peek(bytes);
    return typeof kind === 'string' && Number.isFinite(megapixels) && megapixels >= 0;
  };
  fc.assert(
    fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 200 }), (start, rest) =>
      sound(Buffer.concat([Buffer.from(start, 'latin1'), rest])),
    ),
    { numRuns: 2000 },
  );
  t.end();
});

t.test('a file with endless references is given up after a bounded number of steps', (t) => {
  let reads = 0;
  const endless = (bytes: Buffer) =>
    new Proxy(bytes, {
      get: (target, name) => {
        reads += 1;
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  const filling = Buffer.alloc(1_000_000, 0xff);
  const segments = Buffer.alloc(1_000_000);
  for (let at = 2; at + 4 < segments.length; at += 4) segments.set([0xff, 0xe0, 0, 2], at);
  for (const bytes of [filling, segments]) {
    bytes.set([0xff, 0xd8]);
    const { kind, megapixels } = peek(endless(bytes));
    t.same([kind, megapixels], ['JPEG', 4], 'judged by its bytes');
    t.ok(reads < 1000, `${reads}`);
    reads = 0;
  }
  const still = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 0, 1, 2]);
  t.equal(peek(still).megapixels, still.length / 0.25 / 1e6, 'a segment of no length leads nowhere');
  t.end();
});
