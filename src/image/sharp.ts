/**
 * sharp, configured for hostile input: only the loaders of the supported formats can run. The only file importing
 * sharp.
 */
import sharp from 'sharp';

// All loaders are blocked first, then the supported ones are allowed by name.
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
// One thread per picture, as the decoder runs several pictures at once. No cache, as hardly any picture comes twice.
sharp.concurrency(1);
sharp.cache(false);

export { sharp };
