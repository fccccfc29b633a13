/** The examples of README.md give the answers that are printed there. */
import t from 'tap';
import { ask, examples, ROOT, readReadme } from '../docs/readme.js';
import { parseBudget } from '../src/router/budget.js';
import { createApp } from './support/app.js';

/** Members of an answer that may differ from machine to machine. */
const PASSING = new Set(['timing', 'probability', 'batchSize']);
const lasting = (text: string) =>
  JSON.parse(text, (key, value) => (PASSING.has(key) ? undefined : value)) as Record<string, unknown>;

t.test('every example answers as printed', async (t) => {
  const all = examples(readReadme());
  t.ok(all.length >= 6, 'one for each kind of budget');
  const { app, url } = await createApp(t, { MODELS_DIR: `${ROOT}models` });
  await app.start();
  for (const example of all) {
    const [printed, got] = [lasting(example.answer), lasting(await ask(url, example))];
    if (parseBudget(example.budget).latency === undefined) {
      t.same(got, printed, example.budget);
    } else {
      // Which instance is in time depends on how busy this machine is, and so does its answer.
      t.same(Object.keys(got), Object.keys(printed), example.budget);
      t.equal(got.modelVersion, printed.modelVersion, example.budget);
    }
  }
});
