/** The memory for decoding, estimated from headers, is never too low and not much too high. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp, { type Sharp } from 'sharp';
import t from 'tap';
import { encodeTiff } from '../corpus/encode/tiff.js';
import { temporaryFolder } from '../support/app.js';

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('../fixtures/peak-memory.ts', import.meta.url));
/** Memory that may be counted beyond the buffers of a decode: the process's own garbage. */
const SLACK_BYTES = 16e6;

const noise = (width: number, height: number): Sharp =>
  sharp({
    create: { width, height, channels: 3, background: '#888', noise: { type: 'gaussian', mean: 128, sigma: 10 } },
  });
const even = (width: number, height: number, alpha = 1): Sharp =>
  sharp({ create: { width, height, channels: alpha < 1 ? 4 : 3, background: { r: 200, g: 100, b: 50, alpha } } });
const spots = (width: number, height: number): Sharp => noise(width / 10, height / 10).resize(width, height);

const PICTURES: Record<string, () => Promise<Buffer> | Buffer> = {
  'wide JPEG': () => even(60_000, 300).jpeg().toBuffer(),
  'progressive JPEG': () => noise(3000, 2000).jpeg({ progressive: true, chromaSubsampling: '4:4:4' }).toBuffer(),
  'wide PNG': () => even(20_000, 500).png().toBuffer(),
  'interlaced PNG of 16 bits': () => even(3000, 2000, 0.5).toColourspace('rgb16').png({ progressive: true }).toBuffer(),
  // Of one colour, a lossless WebP is never in memory as a whole.
  'lossless WebP': () => spots(3000, 2000).ensureAlpha(0.5).webp({ lossless: true, effort: 0 }).toBuffer(),
  'AVIF 4:2:0': () => even(2000, 1500).avif({ effort: 0, chromaSubsampling: '4:2:0' }).toBuffer(),
  'AVIF with alpha': () => even(2000, 1500, 0.5).avif({ effort: 0 }).toBuffer(),
  GIF: () => even(3000, 2000).gif({ effort: 1 }).toBuffer(),
  'TIFF of one tile': () =>
    even(3000, 2000).tiff({ compression: 'lzw', tile: true, tileWidth: 3008, tileHeight: 2000 }).toBuffer(),
  'TIFF of one strip for each plane': () =>
    encodeTiff(
      { width: 900, height: 800, bits: 8, channels: 3, photometric: 2, compression: 8, planar: true },
      (x) => x & 255,
    ),
};

/**
 * Measures the peak memory of a decode in a new process. Other allocations in the process raise the peak, and memory
 * that it frees meanwhile lowers it. So it is enough if one of four measurements meets the bounds. tap's loader of
 * TypeScript takes and frees dozens of megabytes long after it has read the files; that of tsx does so seldom. Coverage
 * is off there, as it would be merged with that of the other tests, whose loader makes other code of the same files.
 */
async function measure(file: string): Promise<{ estimate: number; peak: number }> {
  for (let n = 1; ; n++) {
    const env = { ...process.env, _TAPJS_PROCESSINFO_COVERAGE_: '0' };
    const { stdout } = await run(process.execPath, ['--import', import.meta.resolve('tsx'), SCRIPT, file], { env });
    const measured: { estimate: number; peak: number } = JSON.parse(stdout);
    if (n === 4 || (isBound(measured) && isNear(measured))) return measured;
  }
}

const isBound = ({ estimate, peak }: { estimate: number; peak: number }) => peak <= estimate;
const isNear = ({ estimate, peak }: { estimate: number; peak: number }) => estimate <= 3 * peak + SLACK_BYTES;

t.test(
  'the estimate is an upper bound',
  { skip: process.platform === 'linux' ? false : '/proc is Linux' },
  async (t) => {
    const folder = temporaryFolder(t);
    for (const [name, make] of Object.entries(PICTURES)) {
      const file = join(folder, name.replaceAll(/\W/g, '-'));
      writeFileSync(file, await make());
      const measured = await measure(file);
      const { estimate, peak } = measured;
      const said = `${name}: peak ${(peak / 1e6).toFixed(0)} MB, estimate ${(estimate / 1e6).toFixed(0)} MB`;
      t.ok(isBound(measured), said);
      t.ok(isNear(measured), said);
    }
  },
);
