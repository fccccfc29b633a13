/** The exported graphs, run by the service's own engine threads, give the logits of training's forward pass. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { scatter, stack } from '../../src/engine/batch.js';
import { badTwins, goldenPicture } from '../../src/engine/twins.js';
import { loadFamily } from '../../src/family/load.js';
import { goldenSchema } from '../../src/family/manifest.js';
import { ThreadPool } from '../../src/runtime/pool.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const folders = ['test/fixtures/families', 'test/fixtures/twins', 'models'].flatMap((parent) =>
  readdirSync(join(ROOT, parent))
    .map((name) => join(ROOT, parent, name))
    .filter((folder) => existsSync(join(folder, 'manifest.json'))),
);

for (const folder of folders) {
  t.test(folder.slice(ROOT.length), async (t) => {
    const family = await loadFamily(folder);
    const { tolerance, cases } = goldenSchema.parse(JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')));
    const graphs = family.instances.map((i) => ({
      key: i.key,
      path: i.graph,
      shape: [family.height, family.width, 3] as const,
      classes: family.labels.length,
    }));
    const pool = await ThreadPool.start({ threads: 1, onnxThreads: 1, provider: 'cpu', graphs });
    t.teardown(() => pool.close());
    const exact = family.instances.filter((i) => i.precision === 'float32');
    t.same([...new Set(cases.map((c) => c.instance))].sort(), exact.map((i) => i.id).sort(), 'every instance');
    t.same(await badTwins(family, (batch) => pool.run(batch)), [], 'int8 answers about as float32 does');
    for (const { key, id } of exact) {
      const own = cases.filter((c) => c.instance === id);
      const images = stack(own.map(({ k }) => goldenPicture(family.height, family.width, k)));
      const logits = scatter(await pool.run({ key, size: own.length, images }), own.length);
      const worst = Math.max(
        ...own.flatMap((c, n) => c.logits.map((expected, i) => Math.abs(expected - (logits[n]?.[i] ?? Number.NaN)))),
      );
      t.ok(worst <= tolerance, `${id}: the largest difference is ${worst}`);
    }
  });
}
