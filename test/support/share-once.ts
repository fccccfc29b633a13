/** Shares the weights of a family, as one of several processes: share-once.ts CACHE_DIR FAMILY */
import { loadFamily } from '../../src/family/load.js';
import { shareWeights } from '../../src/weights/share.js';

const [cacheDir, folder] = process.argv.slice(2) as [string, string];
let troubles = 0;
const shared = await shareWeights([await loadFamily(folder)], {
  cacheDir,
  weights: 'auto',
  onnxruntime: '1.2.3',
  threads: 1,
  onTrouble: () => {
    troubles += 1;
  },
});
console.log(`${shared.size} shared, ${troubles} troubles`);
