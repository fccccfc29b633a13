/**
 * Runs each graph on a device with onnxruntime alone, without the service:
 *
 *   node graphs.mjs '{"app": "...", "provider": "cuda", "sizes": [1, 8, 64], "timed": ["full"], "seconds": 120}'
 *
 * app: folder of the service; sizes: batch sizes; timed: ids of the instances whose run times are measured.
 * For every float32 instance: whether a session can be created that must not use the CPU, which provider ran each node,
 * and the largest difference of logits from golden.json. For the timed instances also ms of the first run of each batch
 * size, of later runs, and of runs that alternate between sizes, because cuDNN may search for its algorithms again.
 * The last line of the output is JSON, without the graphs for which there was no time.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { app, provider, sizes, timed, seconds, repeats = 20 } = JSON.parse(process.argv[2]);
const endMs = performance.now() + 1000 * seconds;
const { InferenceSession, Tensor } = createRequire(join(app, 'package.json'))('onnxruntime-node');
// The service's own options, so that the results hold for the service.
const { sessionOptions } = await import(pathToFileURL(join(app, 'dist/runtime/session-options.js')));
const { goldenPicture } = await import(pathToFileURL(join(app, 'dist/engine/twins.js')));
const OPTIONS = sessionOptions({ provider, onnxThreads: 1 });
const NOTHING_ON_CPU = {
  ...OPTIONS,
  extra: { session: { ...OPTIONS.extra.session, disable_cpu_ep_fallback: '1' } },
};

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
const later = () => performance.now() > endMs;

async function timeOf(session, feeds) {
  const startMs = performance.now();
  await session.run(feeds);
  return performance.now() - startMs;
}

/** A batch of pseudo-random pictures: some kernels are faster with zeros. */
function pictures(size, { height, width }) {
  const bytes = new Uint8Array(size * height * width * 3);
  for (let n = 0, x = 1; n < bytes.length; n++) {
    x = (1103515245 * x + 12345) & 0x7fffffff;
    bytes[n] = x >> 16;
  }
  return { image: new Tensor('uint8', bytes, [size, height, width, 3]) };
}

/** Provider -> kind of node -> how many nodes of this kind it ran. */
async function placement(path, feeds) {
  const folder = mkdtempSync(join(tmpdir(), 'dimmer-profile-'));
  try {
    const session = await InferenceSession.create(path, {
      ...OPTIONS,
      enableProfiling: true,
      profileFilePrefix: join(folder, 'profile'),
    });
    await session.run(feeds);
    session.endProfiling();
    await session.release();
    const [file] = readdirSync(folder);
    const found = {};
    for (const { cat, name, args } of JSON.parse(readFileSync(join(folder, file), 'utf8'))) {
      if (cat !== 'Node' || !name.endsWith('_kernel_time')) continue;
      found[args.provider] ??= {};
      found[args.provider][args.op_name] = (found[args.provider][args.op_name] ?? 0) + 1;
    }
    return found;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Largest difference of a logit from golden.json (most), and the largest absolute logit there (largest). */
async function golden(session, id, family) {
  const cases = family.golden.cases.filter((c) => c.instance === id);
  let [most, largest] = [0, 0];
  for (const { k, logits } of cases) {
    const picture = goldenPicture(family.height, family.width, k);
    const image = new Tensor('uint8', picture, [1, family.height, family.width, 3]);
    const got = (await session.run({ image })).logits.data;
    logits.forEach((value, n) => {
      most = Math.max(most, Math.abs(value - got[n]));
      largest = Math.max(largest, Math.abs(value));
    });
  }
  return { cases: cases.length, most, largest, tolerance: family.golden.tolerance };
}

/** ms by batch size: of the first run, of later runs (median), and of runs that alternate between sizes (median). */
async function times(session, family) {
  const [first, steady] = [{}, {}];
  const feeds = Object.fromEntries(sizes.map((size) => [size, pictures(size, family)]));
  for (const size of sizes) {
    if (later()) return { first, steady };
    first[size] = await timeOf(session, feeds[size]);
    const all = [];
    for (let n = 0; n < repeats; n++) all.push(await timeOf(session, feeds[size]));
    steady[size] = median(all);
  }
  const turns = Object.fromEntries(sizes.map((size) => [size, []]));
  for (let n = 0; n < repeats; n++) for (const size of sizes) turns[size].push(await timeOf(session, feeds[size]));
  return { first, steady, inTurns: Object.fromEntries(sizes.map((size) => [size, median(turns[size])])) };
}

const results = {};
const models = join(app, 'models');
for (const name of readdirSync(models).sort()) {
  const manifest = JSON.parse(readFileSync(join(models, name, 'manifest.json'), 'utf8'));
  const { height, width } = manifest.input;
  const family = {
    height,
    width,
    golden: JSON.parse(readFileSync(join(models, name, 'golden.json'), 'utf8')),
  };
  for (const { id, precision, file } of manifest.instances) {
    if (precision !== 'float32' || later()) continue;
    const path = join(models, name, file);
    const result = {};
    results[`${name}/${id}`] = result;
    try {
      const strict = await InferenceSession.create(path, NOTHING_ON_CPU);
      await strict.release();
      result.nothingOnCpu = true;
    } catch (error) {
      result.nothingOnCpu = String(error.message ?? error);
    }
    try {
      const startMs = performance.now();
      const session = await InferenceSession.create(path, OPTIONS);
      result.createMs = performance.now() - startMs;
      result.golden = await golden(session, id, family);
      if (timed.includes(id)) Object.assign(result, await times(session, family));
      await session.release();
      result.nodes = await placement(path, pictures(1, family));
    } catch (error) {
      result.error = String(error.message ?? error);
    }
    console.error(`${name}/${id}: ${JSON.stringify(result)}`);
  }
}
console.log(JSON.stringify(results));
