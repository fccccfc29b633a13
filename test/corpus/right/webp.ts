import sharp from 'sharp';
import { grey, onWhite, type Raster, turned } from '../raster.js';
import { alphaAt, EXACT, LARGE, LOSSY, NEAR, RAMPS, type Right, raw, sampleOf } from './common.js';

export async function webps(): Promise<Right[]> {
  const all: Right[] = [];
  const add = (name: string, bytes: Buffer, raster: Raster = RAMPS, tolerance = EXACT) =>
    all.push({ name: `WebP ${name}`, bytes, kind: 'WebP', raster, tolerance });
  const lossless = await raw(RAMPS).webp({ lossless: true }).toBuffer();
  add('lossless', lossless);
  add('lossy', await raw(LARGE).webp({ quality: 98 }).toBuffer(), LARGE, LOSSY);
  const rgba = (raster: Raster) =>
    sharp(
      Buffer.from(
        Array.from({ length: raster.width * raster.height }, (_, n) => {
          const [x, y] = [n % raster.width, Math.floor(n / raster.width)];
          return [0, 1, 2].map((c) => sampleOf(raster, x, y, c)).concat(Math.round(alphaAt(x) * 255));
        }).flat(),
      ),
      { raw: { width: raster.width, height: raster.height, channels: 4 } },
    );
  add(
    'lossless with alpha',
    await rgba(RAMPS).webp({ lossless: true, exact: true }).toBuffer(),
    onWhite(RAMPS, alphaAt),
    1.6,
  );
  for (let orientation = 1; orientation <= 8; orientation++)
    add(
      `orientation ${orientation}`,
      await raw(RAMPS).withMetadata({ orientation }).webp({ lossless: true }).toBuffer(),
      turned(RAMPS, orientation),
      NEAR,
    );
  const frames = await Promise.all([RAMPS, grey(RAMPS), RAMPS].map((raster) => raw(raster).png().toBuffer()));
  const animation = await sharp(frames, { join: { animated: true } })
    .webp({ lossless: true })
    .toBuffer();
  add('animation', animation);
  const second = animation.indexOf('ANMF', animation.indexOf('ANMF') + 4);
  add('animation whose second frame is broken', Buffer.from(animation).fill(0xaa, second + 40, second + 60));
  add('garbage at its end', Buffer.concat([lossless, Buffer.alloc(3000, 9)]));
  const xmp = await raw(RAMPS)
    .withXmp(`<x:xmpmeta xmlns:x="adobe:ns:meta/">${' '.repeat(300_000)}</x:xmpmeta>`)
    .webp({ lossless: true })
    .toBuffer();
  add('300 KB of XMP', xmp);
  return all;
}
