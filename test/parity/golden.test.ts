/** The exported graphs, run by the service's own engine threads, give the logits of training's forward pass. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { scatter, stack } from '../../src/engine/batch.js';
import { topIndices } from '../../src/engine/softmax.js';
import { badTwins, goldenPicture } from '../../src/engine/twins.js';
import type { Family } from '../../src/family/instance.js';
import { loadFamily } from '../../src/family/load.js';
import { goldenSchema } from '../../src/family/manifest.js';
import { graphsOf } from '../../src/networks.js';
import { ThreadPool } from '../../src/runtime/pool.js';
import { type SharedFamily, shareWeights } from '../../src/weights/share.js';
import { temporaryFolder } from '../support/app.js';
import { twoNetworks } from '../support/two-networks.js';

/** Indices k of the generated pictures in golden.json. */
const PICTURES = [0, 1, 2];
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const folders = ['test/fixtures/families', 'test/fixtures/twins', 'models'].flatMap((parent) =>
  readdirSync(join(ROOT, parent))
    .map((name) => join(ROOT, parent, name))
    .filter((folder) => existsSync(join(folder, 'manifest.json'))),
);

/** Logits of the golden pictures by each instance of a family. */
async function logitsOf(t: Test, family: Family, shared?: SharedFamily): Promise<Map<string, Float32Array[]>> {
  const graphs = graphsOf(family, shared);
  const events: string[] = [];
  const onThread = (event: string) => events.push(event);
  const pool = await ThreadPool.start({ threads: 1, onnxThreads: 1, provider: 'cpu', graphs, onThread });
  t.same(await badTwins(family, (batch) => pool.run(batch)), [], 'int8 answers about as float32 does');
  const images = () => stack(PICTURES.map((k) => goldenPicture(family.height, family.width, k)));
  const all = new Map<string, Float32Array[]>();
  for (const { key } of family.instances) {
    const logits = await pool.run({ key, size: PICTURES.length, images: images() });
    all.set(key, scatter(logits, PICTURES.length));
  }
  await pool.close();
  t.same(events, [], 'graphs were loaded from where they should be');
  return all;
}

const furthest = (a: Float32Array, b: ArrayLike<number>) =>
  Math.max(...a.map((v, n) => Math.abs(v - (b[n] ?? Number.NaN))));

for (const folder of [...folders, twoNetworks(temporaryFolder(t))]) {
  t.test(folders.includes(folder) ? folder.slice(ROOT.length) : 'two networks', async (t) => {
    const family = await loadFamily(folder);
    const { tolerance, cases } = goldenSchema.parse(JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')));
    const exact = family.instances.filter((i) => i.precision === 'float32');
    t.same([...new Set(cases.map((c) => c.instance))].sort(), exact.map((i) => i.id).sort(), 'every instance');
    const shared = await shareWeights([family], {
      cacheDir: temporaryFolder(t),
      weights: 'auto',
      onnxruntime: '',
      threads: 1,
      onTrouble: ({ reason }) => t.fail(reason),
    });
    const forms = { ordinary: await logitsOf(t, family), shared: await logitsOf(t, family, shared.get(family.name)) };
    for (const [form, logits] of Object.entries(forms)) {
      for (const { key, id } of exact) {
        const own = cases.filter((c) => c.instance === id);
        const worst = Math.max(...own.map((c) => furthest(logits.get(key)?.[c.k] ?? new Float32Array(), c.logits)));
        t.ok(own.length > 0 && worst <= tolerance, `${form} ${id}: the largest difference is ${worst}`);
      }
    }
    for (const { key, precision } of family.instances) {
      for (const k of PICTURES) {
        const [a, b] = [forms.ordinary.get(key)?.[k], forms.shared.get(key)?.[k]] as [Float32Array, Float32Array];
        t.ok(furthest(a, b) <= (precision === 'int8' ? 1e-2 : 1e-4), `${key}: sharing changes nothing`);
        t.equal(topIndices(a, 1)[0], topIndices(b, 1)[0]);
      }
    }
  });
}
