import t from 'tap';
import { outcomeOf, RULE } from './corpus.js';
import { worstDifference } from './raster.js';
import { avifs, turnedAvifs } from './right/avif.js';
import { gifs } from './right/gif.js';
import { jpegs } from './right/jpeg.js';
import { pngs } from './right/png.js';
import { tiffs } from './right/tiff.js';
import { webps } from './right/webp.js';

const groups = { pngs, tiffs, jpegs, webps, avifs, turnedAvifs, gifs };
for (const [group, make] of Object.entries(groups)) {
  t.test(`${group} that are valid give the raster that they were made from`, async (t) => {
    const pictures = await make();
    for (const { name, bytes, kind, raster, tolerance } of pictures) {
      const outcome = await outcomeOf(bytes);
      if ('error' in outcome) {
        t.fail(`${name}: ${outcome.error.code}: ${outcome.error.facts.detail}`);
        continue;
      }
      t.equal(outcome.header.kind, kind, `${name}: its kind`);
      t.same(outcome.header.oriented, { width: raster.width, height: raster.height }, `${name}: its size`);
      const worst = worstDifference(outcome.pixels, raster, RULE);
      t.ok(worst <= tolerance, `${name}: ${worst.toFixed(2)} levels off at most, ${tolerance} allowed`);
    }
  });
}
