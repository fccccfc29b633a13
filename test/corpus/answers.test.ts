/** The corpus sent as requests, and the labels that the network gives to it. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import sharp, { type Sharp } from 'sharp';
import t from 'tap';
import { scatter, stack } from '../../src/engine/batch.js';
import { loadFamily } from '../../src/family/load.js';
import { PROBLEMS } from '../../src/http/problem.js';
import { classification, problem as problemSchema } from '../../src/http/schemas.js';
import { ThreadPool } from '../../src/runtime/pool.js';
import { classify, readyApp } from '../support/app.js';
import { readPicture } from '../support/decoding.js';
import { OTHERS } from './others.js';
import * as refused from './refused.js';
import { avifs } from './right/avif.js';
import { gifs } from './right/gif.js';
import { jpegs } from './right/jpeg.js';
import { pngs } from './right/png.js';
import { tiffs } from './right/tiff.js';
import { webps } from './right/webp.js';

/** Every n-th of a list, because sending all of them over HTTP takes too long. */
const some = <T>(all: readonly T[], every: number) => all.filter((_, n) => n % every === 0);

t.test('the corpus over HTTP', async (t) => {
  const { url } = await readyApp(t, { MAX_IMAGE_PIXELS: '4000000' });

  await t.test('valid pictures are answered', async (t) => {
    const all = [pngs(), tiffs(), await jpegs(), await webps(), avifs(), gifs()].flatMap((group) => some(group, 6));
    for (const { name, bytes } of all) {
      const response = await classify(url, bytes);
      const text = await response.text();
      t.equal(response.status, 200, `${name}: ${text.slice(0, 200)}`);
      if (response.ok) t.equal(classification.parse(JSON.parse(text)).results.length, 1, name);
    }
  });

  await t.test('other bodies are refused with a problem', async (t) => {
    const named = Object.entries(OTHERS).map(([name, [bytes]]) => ({
      name,
      bytes,
      code: 'unsupported-media' as const,
    }));
    const dear = [...refused.tiffs(), ...(await refused.jpegs()), ...refused.avifs(), ...(await refused.sizes())];
    for (const { name, bytes, code } of [...some(named.slice(1), 3), ...some(dear, 3)]) {
      const response = await classify(url, bytes);
      t.equal(response.status, PROBLEMS[code].status, name);
      const problem = problemSchema.parse(await response.json());
      t.equal(problem.type, `urn:dimmer:problem:${code}`, name);
    }
  });
});

t.test('one picture in every kind of file has the same label', async (t) => {
  const family = await loadFamily(fileURLToPath(new URL('../../models/cifar10', import.meta.url)));
  const full = family.instances.find(({ id }) => id === 'full');
  if (!full) throw new Error('a family without `full`');
  const shape = [family.height, family.width, 3] as const;
  const graphs = [{ key: full.key, path: full.graph, shape, classes: family.labels.length }];
  const pool = await ThreadPool.start({ threads: 1, onnxThreads: 1, provider: 'cpu', graphs });
  t.teardown(() => pool.close());
  const photo = sharp(readFileSync(new URL('../../docs/examples/cat.jpg', import.meta.url))).rotate();
  const { data, info } = await photo.removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const raw = () => sharp(data, { raw: info });
  const kinds: Record<string, Sharp> = {
    JPEG: raw().jpeg({ quality: 95 }),
    'progressive JPEG': raw().jpeg({ quality: 95, progressive: true }),
    'CMYK JPEG': raw().toColourspace('cmyk').jpeg({ quality: 95 }),
    'JPEG turned by Exif': raw().rotate(90).withMetadata({ orientation: 8 }).jpeg({ quality: 95 }),
    PNG: raw().png(),
    'PNG of 16 bits': raw().toColourspace('rgb16').png(),
    'PNG of 16 bits in Display P3': raw().toColourspace('rgb16').withIccProfile('p3').png(),
    'interlaced PNG': raw().png({ progressive: true }),
    'PNG of a palette': raw().png({ palette: true }),
    'lossless WebP': raw().webp({ lossless: true }),
    'lossy WebP': raw().webp({ quality: 90 }),
    AVIF: raw().avif({ quality: 80 }),
    GIF: raw().gif(),
    TIFF: raw().tiff({ compression: 'lzw' }),
    'TIFF of JPEG': raw().tiff({ compression: 'jpeg', quality: 90 }),
  };
  for (const [kind, picture] of Object.entries(kinds)) {
    const pixels = await readPicture(await picture.toBuffer(), family.resize, 50e6);
    const images = stack([pixels]);
    const [logits = new Float32Array()] = scatter(await pool.run({ key: full.key, size: 1, images }), 1);
    t.equal(family.labels[logits.indexOf(Math.max(...logits))], 'cat', kind);
  }
});
