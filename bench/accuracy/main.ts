/**
 * Classifies the `test` part of an image folder over HTTP, and compares the accuracy with the manifest. With a
 * reference it also compares the answers picture by picture. Exit status 1 if they differ.
 *
 * npm run bench:accuracy -- --data data/cifar10 --instance full --reference bench/reference/cifar10.json npm run
 * bench:accuracy -- --data data/cifar10 --budget cost=0.4
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pLimit from 'p-limit';
import { z } from 'zod';
import { classification, model as modelShape } from '../../src/http/schemas.js';
import { circumstances, fail, progress, writeResult } from '../support.js';
import { accuracyByInstance, type Difference, differences, type Served } from './compare.js';
import { readReference } from './read.js';

const { values: options } = parseArgs({
  options: {
    data: { type: 'string' },
    url: { type: 'string', default: 'http://127.0.0.1:8080' },
    model: { type: 'string', default: 'cifar10' },
    budget: { type: 'string', default: '' },
    instance: { type: 'string' },
    reference: { type: 'string' },
    concurrency: { type: 'string', default: '8' },
    out: { type: 'string' },
  },
});
const DATA = options.data ?? fail('give --data, an image folder: <data>/test/<class>/<pictures>');

interface Labelled {
  readonly file: string;
  readonly label: number;
}

/** Pictures of `<root>/test/<class>/`. Ends the process if a folder's name is not one of the labels. */
function picturesIn(root: string, labels: readonly string[]): Labelled[] {
  const folder = join(root, 'test');
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) fail(`${folder} is no folder`);
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const label = labels.indexOf(name);
      if (label < 0) fail(`the family has no label ${name}; give --reference, which knows the label of each picture`);
      return readdirSync(join(folder, name))
        .sort()
        .map((picture) => ({ file: `test/${name}/${picture}`, label }));
    });
}

const answered = await fetch(`${options.url}/models/${options.model}`).catch((error) =>
  fail(`no service at ${options.url}: ${error.cause?.message ?? error.message}`),
);
if (!answered.ok) fail(await answered.text());
const model = modelShape.parse(await answered.json());
const reference = options.reference === undefined ? undefined : readReference(options.reference, model.version);
const pictures = reference
  ? reference.files.map((file, n): Labelled => ({ file, label: reference.labels[n] as number }))
  : picturesIn(DATA, model.labels);
const query = new URLSearchParams({ model: model.name, top: '1' });
if (options.instance !== undefined) query.set('instance', options.instance);

async function classify({ file, label }: Labelled): Promise<Served> {
  const response = await fetch(`${options.url}/classify?${query}`, {
    method: 'POST',
    body: readFileSync(join(DATA, file)),
    headers: { 'Inference-Budget': options.budget },
  });
  if (!response.ok) fail(`${file}: ${response.status} ${await response.text()}`);
  const { modelVersion, results } = classification.parse(await response.json());
  if (modelVersion !== model.version) fail(`the model changed under way, from ${model.version} to ${modelVersion}`);
  const [result] = results;
  if (!result?.predictions[0]) fail(`${file}: an answer without a prediction`);
  return { file, label, instance: result.model_instance.id, predicted: result.predictions[0].index };
}

const bar = progress('accuracy', pictures.length);
const limit = pLimit(z.coerce.number().int().positive().parse(options.concurrency));
const startMs = performance.now();
const served = await Promise.all(
  pictures.map((picture) =>
    limit(async () => {
      const answer = await classify(picture);
      bar.step();
      return answer;
    }),
  ),
);
bar.stop();
const seconds = (performance.now() - startMs) / 1000;

const rows = accuracyByInstance(served).map((row) => {
  const info = model.instances.find((i) => i.id === row.instance) ?? fail(`the model lists no ${row.instance}`);
  // Counts can be compared only if the manifest was measured on the same number of pictures.
  return { ...row, manifest: { correct: info.correct, n: info.n, top1: info.top1 }, comparable: info.n === row.n };
});

const found: Difference[] | undefined = reference && differences(served, reference);

const what =
  [options.instance && `instance=${options.instance}`, options.budget].filter(Boolean).join(', ') || 'no budget';
console.log(`${model.name} ${model.version}, ${what}: ${served.length} pictures in ${seconds.toFixed(1)} s`);
console.table(
  Object.fromEntries(
    rows.map(({ instance, n, correct, top1, manifest }) => [
      instance,
      { pictures: n, correct, 'top-1': top1, 'correct, manifest': manifest.correct, 'top-1, manifest': manifest.top1 },
    ]),
  ),
);
const wrong = found?.filter((d) => !d.nearTie) ?? [];
if (found) {
  console.log(`${found.length} pictures differ from the reference, ${found.length - wrong.length} of them near ties`);
  for (const d of found) {
    console.log(
      `  ${d.file} ${d.instance}: served ${model.labels[d.served]}, expected ${model.labels[d.expected]}, margin ${d.margin ?? 'not small'}`,
    );
  }
}
// Each near tie may change the count of right answers by one.
const ties = found?.length ?? 0;
const off = rows.filter((r) => r.comparable && Math.abs(r.correct - r.manifest.correct) > ties);
for (const row of off)
  console.log(`${row.instance}: ${row.correct} correct, the manifest says ${row.manifest.correct}`);
writeResult(options.out, {
  bench: 'accuracy',
  ...circumstances(),
  model: model.name,
  modelVersion: model.version,
  device: model.device,
  instance: options.instance ?? null,
  budget: options.budget,
  pictures: served.length,
  seconds,
  rows,
  differences: found ?? null,
});
process.exitCode = wrong.length + off.length > 0 ? 1 : 0;
