/** sharp as all of this folder uses it: only the loaders that we read are open. The only file importing sharp. */
import sharp from 'sharp';

// Loaders that are not named cannot run at all, whatever the bytes pretend to be.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: [
    'VipsForeignLoadJpegBuffer',
    'VipsForeignLoadPngBuffer',
    'VipsForeignLoadWebpBuffer',
    'VipsForeignLoadHeifBuffer',
    'VipsForeignLoadNsgifBuffer',
    'VipsForeignLoadTiffBuffer',
  ],
});
// One thread for each picture: who calls decides how many run at once. No cache: no picture comes twice.
sharp.concurrency(1);
sharp.cache(false);

export { sharp };
