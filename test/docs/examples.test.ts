/** What the docs show is what the service does: their commands are sent, and their answers compared. */
import t from 'tap';
import { ask, examplesOf, PAGES, ROOT, readPage, requestOf } from '../../docs/commands.js';
import { differences, type Json, parseCut } from '../../docs/cut.js';
import { parseBudget } from '../../src/router/budget.js';
import { createApp } from '../support/app.js';

/** What may differ between two runs on two machines. */
const CHANGING = new Set(['timing', 'probability', 'batchSize', 'latencyMs']);

t.test('every example answers as shown', async (t) => {
  const { app, url } = await createApp(t, { MODELS_DIR: `${ROOT}models` });
  await app.start();
  for (const page of PAGES) {
    const examples = examplesOf(readPage(page));
    t.ok(examples.length > 0, page);
    for (const { command, answer } of examples) {
      const request = requestOf(command);
      const real = JSON.parse(await ask(url, request)) as Json;
      // Which instance is in time depends on how busy this machine is, and so does its answer.
      const shapeOnly = parseBudget(request.budget).latency !== undefined;
      t.same(differences(parseCut(answer), real, { changing: CHANGING, shapeOnly }), [], `${page}: ${command}`);
    }
  }
});

t.test('no command goes without its answer, and so without this test', (t) => {
  for (const page of PAGES) {
    const text = readPage(page);
    const commands = text.split('\n').filter((line) => line.startsWith('curl '));
    t.same(
      examplesOf(text).map(({ command }) => command),
      commands,
      page,
    );
  }
  t.end();
});

t.test('every kind of budget has an example', (t) => {
  const shown = PAGES.flatMap((page) => examplesOf(readPage(page)).map(({ command }) => requestOf(command).budget));
  for (const member of ['cost', 'flops', 'accuracy', 'latency', 'strict']) {
    t.ok(
      shown.some((budget) => budget.includes(`${member}=`)),
      member,
    );
  }
  t.end();
});

t.test('a command is taken apart as a shell and curl do it', async (t) => {
  const picture = requestOf(
    "curl --data-binary @docs/examples/cat.jpg -H 'Inference-Budget: cost=0.5, strict=?0' 'localhost:8080/classify?top=2'",
  );
  t.match(picture, { path: '/classify?top=2', budget: 'cost=0.5, strict=?0', init: { method: 'POST' } });
  t.equal((picture.init.body as Uint8Array).subarray(0, 2).join(' '), '255 216', 'a JPEG');
  t.match(requestOf('curl localhost:8080/models'), { path: '/models', budget: '', init: { method: 'GET' } });
  const form = requestOf(
    'curl -F image=@docs/examples/cat.jpg -F image=@docs/examples/coffee.jpg localhost:8080/classify',
  );
  t.equal((form.init.body as FormData).getAll('image').length, 2);
  t.throws(() => requestOf('curl -X PUT localhost:8080/models'), /-X/, 'what is not known is said, not passed over');
  t.throws(() => requestOf('curl example.com'), /localhost:8080/);
  t.throws(() => requestOf('curl -F text=@docs/examples/cat.jpg localhost:8080/classify'), /image=@FILE/);
  t.end();
});
