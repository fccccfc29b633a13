import { readFileSync } from 'node:fs';
import { type Raster, ramps, turned } from '../raster.js';
import { LOSSY, RAMPS, type Right, raw } from './common.js';

const fixture = (name: string) => readFileSync(new URL(`../../fixtures/pictures/${name}`, import.meta.url));

export function avifs(): Right[] {
  const all: Right[] = [];
  const add = (name: string, bytes: Buffer, raster: Raster = RAMPS, tolerance = LOSSY) =>
    all.push({ name: `AVIF ${name}`, bytes, kind: 'AVIF', raster, tolerance });
  // Green counts most in brightness, so `400` is another grey than that of `grey`.
  const brightness: Raster = {
    ...RAMPS,
    colour: (x, y) => {
      const [r, g, b] = RAMPS.colour(x, y);
      const v = 0.299 * r + 0.587 * g + 0.114 * b;
      return [v, v, v];
    },
  };
  for (const bits of [8, 10, 12]) {
    for (const chroma of [420, 422, 444])
      add(`${chroma} of ${bits} bits`, fixture(`${chroma}-${bits}.avif`), RAMPS, chroma === 444 ? 4 : 24);
    add(`grey of ${bits} bits`, fixture(`400-${bits}.avif`), brightness, 4);
  }
  // `irot` turns against the clock by quarters, `imir` swaps top and bottom (0) or left and right (1).
  for (const [name, orientation] of [
    ['irot1', 8],
    ['irot2', 3],
    ['irot3', 6],
    ['imir0', 4],
    ['imir1', 2],
  ] as const)
    add(name, fixture(`${name}.avif`), turned(RAMPS, orientation), 4);
  add('lossless', fixture('lossless.avif'), RAMPS, 1.6);
  add('limited range', fixture('limited.avif'), RAMPS, 6);
  add('grid', fixture('grid.avif'), ramps(128, 128), 4);
  add('sequence, its still picture', fixture('sequence.avif'), RAMPS, 4);
  add('sequence of 10 bits, its still picture', fixture('sequence10.avif'), RAMPS, 4);
  const plain = fixture('444-8.avif');
  for (const brand of ['mif1', 'miaf', 'MA1A', 'msf1', 'avis'])
    add(`of first brand ${brand}`, renamed(plain, 8, brand), RAMPS, 4);
  add('garbage at its end', Buffer.concat([plain, Buffer.alloc(2000, 3)]), RAMPS, 4);
  return all;
}

const renamed = (bytes: Buffer, at: number, name: string) => {
  const copy = Buffer.from(bytes);
  copy.write(name, at, 'latin1');
  return copy;
};

/** AVIFs with a rotation in HEIF's own properties, which libvips writes for an orientation; their Exif is not read. */
export async function turnedAvifs(): Promise<Right[]> {
  return Promise.all(
    [1, 2, 3, 4, 5, 6, 7, 8].map(async (orientation) => ({
      name: `AVIF of orientation ${orientation}`,
      bytes: await raw(RAMPS)
        .withMetadata({ orientation })
        .avif({ quality: 95, chromaSubsampling: '4:4:4' })
        .toBuffer(),
      kind: 'AVIF' as const,
      raster: turned(RAMPS, orientation),
      tolerance: LOSSY,
    })),
  );
}
