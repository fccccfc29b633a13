/** `dimmer classify`, over HTTP and in this process. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { z } from 'zod';
import { classifyDocument, failureDocument } from '../../src/cli/shapes.js';
import { createApp, FAMILIES, picture, temporaryFolder, tinyFamilies } from '../support/app.js';
import { dimmer, documentOf, fakeAnswer, fakeProblem, fakeService, type Said, send } from './support.js';

const filesOf = (said: Said): z.infer<typeof classifyDocument>['files'] =>
  classifyDocument.parse(documentOf(said)).files;

/** The path of a file that is gone when the test ends. */
function fileOf(t: Test, name: string, content: string | Buffer): string {
  const file = join(temporaryFolder(t), name);
  writeFileSync(file, content);
  return file;
}

// One for all tests: real threads and decoding take longer to start than all of them.
const { app, url: SERVICE } = await createApp(t);
await app.start();
const PICTURE = fileOf(t, 'picture.png', await picture());

t.test('labels, the instance and why, cost and timing, for each file', async (t) => {
  const [url, file] = [SERVICE, PICTURE];
  const { status, out, err } = await dimmer(['classify', '--url', url, '--cost', '0.5', '--top', '2', file, file]);
  t.equal(status, 0);
  t.equal(err, '');
  t.equal(out.split(`${file}\n`).length, 3, 'both');
  t.equal(out.match(/^ {2}(diagonal|horizontal|vertical) +\d+\.\d %$/gm)?.length, 4, 'two labels each');
  t.match(out, /^ {2}p01-r500 of tiny: most accurate within cost 0\.5$/m);
  t.match(out, /^ {2}cost 34\.6 % of the full network, 149,600 FLOPs$/m);
  t.match(out, /^ {2}\d+\.\d ms: decode \d+\.\d, queue \d+\.\d, network \d+\.\d \(batch of 1\)$/m);
  t.match(out, /^ {2}budget met$/m);
});

t.test('what is asked arrives: budget, model, instance, labels, key', async (t) => {
  const seen: (string | undefined)[] = [];
  const base = await fakeService(t, (request, body, response) => {
    const { 'inference-budget': budget, 'x-api-key': key } = request.headers;
    seen.push(request.url, String(budget), String(key), body.toString());
    send(response, 200, fakeAnswer('full'));
  });
  const file = fileOf(t, 'a', 'bytes');
  const budget = ['--cost', '0.5', '--flops', '900', '--latency', '25.5', '--accuracy', '0.93', '--not-strict'];
  const wish = ['--model', 'pets', '--instance', 'p01-r500', '--top', '3'];
  await dimmer(['classify', '--url', `${base}/behind/a/proxy/`, ...budget, ...wish, file], {
    DIMMER_API_KEY: 'k'.repeat(16),
  });
  t.same(seen, [
    '/behind/a/proxy/classify?model=pets&instance=p01-r500&top=3',
    'latency=25.5, cost=0.5, flops=900, accuracy=0.93, strict=?0',
    'k'.repeat(16),
    'bytes',
  ]);
  seen.length = 0;
  await dimmer(['classify', '--url', base, '-'], {}, Buffer.from('from stdin'));
  t.same(seen, ['/classify', 'undefined', 'undefined', 'from stdin'], 'nothing that was not asked for');
  seen.length = 0;
  const environment = { DIMMER_API_KEY: 'k'.repeat(16) };
  await dimmer(['classify', '--url', base, '--key', 'of-the-option', '-'], environment, Buffer.from('x'));
  t.same(seen, ['/classify', 'undefined', 'of-the-option', 'x'], 'the option wins over the variable');
});

t.test('a budget that nothing can meet: in the words of the service, and status 1', async (t) => {
  const [url, file] = [SERVICE, PICTURE];
  const { status, out, err } = await dimmer(['classify', '--url', url, '--cost', '0.1', file]);
  t.equal(status, 1);
  t.equal(out, '');
  t.match(err, `${file}: No instance can meet this budget (422)\n`);
  t.match(err, '  what was wrong: no instance is within cost 0.1, even when this host is idle\n');
  t.match(err, '  expected: changing one member: cost=0.347\n');
  t.match(err, '  what to do: take one of these values, or add strict=?0 to get the nearest answer\n');
  const wished = await dimmer(['classify', '--url', url, '--cost', '0.1', '--not-strict', file]);
  t.equal(wished.status, 0, 'a wish is never refused');
  t.match(wished.out, /^ {2}budget not met$/m);
});

t.test('what is no picture fails, and the others are answered all the same', async (t) => {
  const [url, file] = [SERVICE, PICTURE];
  const [text, folder] = [fileOf(t, 'notes.txt', 'no picture'), temporaryFolder(t)];
  const missing = join(folder, 'missing.jpg');
  const said = await dimmer(['classify', '--json', '--url', url, text, missing, folder, file]);
  t.equal(said.status, 1);
  t.equal(said.err, '', 'all is in the document');
  t.match(filesOf(said), [
    { file: text, problem: { status: 415, type: 'urn:dimmer:problem:unsupported-media' } },
    { file: missing, problem: { title: 'The file cannot be read', detail: 'there is no such file' } },
    { file: folder, problem: { detail: 'it is a folder' } },
    { file, answer: { model: 'tiny', results: [{ model_instance: { id: 'full' } }] } },
  ]);
});

t.test('an unknown model lists what there is', async (t) => {
  const [url, file] = [SERVICE, PICTURE];
  const { status, err } = await dimmer(['classify', '--url', url, '--model', 'none', file]);
  t.equal(status, 1);
  t.match(err, /No such model \(404\)\n.*there is no model none\n.*one of tiny/);
});

t.test('a refusal says when to try again, and cannot steer the terminal', async (t) => {
  const url = await fakeService(t, (_request, _body, response) => {
    const problem = { ...fakeProblem('overloaded', 503), detail: 'too \u001b[2J much\r\nof \u202eit' };
    send(response, 503, problem, { 'Retry-After': '7' });
  });
  const { status, err } = await dimmer(['classify', '--url', url, '-']);
  t.equal(status, 1);
  t.match(err, '-: title of overloaded (503)\n  what was wrong: too \ufffd[2J much\ufffd\n    of \ufffdit\n');
  t.match(err, '  try again after 7 s\n');
});

t.test('a redirection is not followed: the key is for the host that was named', async (t) => {
  let elsewhere = 0;
  const other = await fakeService(t, (_request, _body, response) => {
    elsewhere += 1;
    send(response, 200, fakeAnswer('full'));
  });
  const url = await fakeService(t, (_request, _body, response) => {
    send(response, 307, '', { Location: `${other}/classify` });
  });
  const { status, err } = await dimmer(['classify', '--url', url, '-'], { DIMMER_API_KEY: 'k'.repeat(16) });
  t.equal(status, 1);
  t.match(err, /answered 307: nothing/);
  t.equal(elsewhere, 0);
});

t.test('in this process, without a service: only the family that is asked for is started', async (t) => {
  const png = await picture();
  const [file, cache] = [fileOf(t, 'picture.png', png), temporaryFolder(t)];
  const environment = { CACHE_DIR: cache, PORT: 'ignored', DEFAULT_BUDGET: 'cost=0.4' };
  const models = tinyFamilies(t, ['one', 'two']);
  const args = ['classify', '--json', '--models', models, '--model', 'two', file, '-'];
  const said = await dimmer(args, environment, png, true);
  t.equal(said.status, 0, said.err);
  const answer = { model: 'two', budget: { cost: 0.4, met: true } };
  t.match(filesOf(said), [
    { file, answer },
    { file: '-', answer },
  ]);
  t.equal(readdirSync(cache).filter((name) => name.startsWith('graphs-')).length, 1, 'networks of one family');
  t.match(said.err, /starting: \w+ \(the first start on a host takes longer\)/, 'for who watches, on stderr');
  t.ok(said.err.endsWith('\r\u001b[K'), 'and then it is taken away');
});

t.test('what cannot be started is status 1', async (t) => {
  const environment = { CACHE_DIR: temporaryFolder(t), MODELS_DIR: FAMILIES };
  const cases: [string[], Record<string, string>, RegExp][] = [
    [['--model', 'none'], {}, /^No such model\n.*there is no model none in .*\n {2}expected: one of tiny\n/],
    [['--models', '/nowhere'], {}, /^The service cannot start in this process\n.*MODELS_DIR=\/nowhere is not a folder/],
    [
      ['--models', tinyFamilies(t, ['one', 'two'])],
      {},
      /^No model is named\n.*none of them is the default\n.*one of one, two\n/,
    ],
    [['--models', temporaryFolder(t)], {}, /^No such model\n.*there is no family in /],
    [[], { DEFAULT_BUDGET: 'cost=5' }, /^The service cannot start in this process\n.*DEFAULT_BUDGET=cost=5/],
  ];
  for (const [args, more, message] of cases) {
    const said = await dimmer(['classify', '--json', ...args, 'a.jpg'], { ...environment, ...more });
    t.equal(said.status, 1);
    t.match(said.err, message);
    t.ok(failureDocument.parse(documentOf(said)));
  }
});
