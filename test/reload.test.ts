/** Families that are added, replaced and removed while the service runs. */
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { App } from '../src/app.js';
import type { Repository } from '../src/repository.js';
import { classify, createApp, picture, readyApp, temporaryFolder, tinyFamilies, until } from './support/app.js';

type Manifest = Record<string, unknown> & { instances: { file: string }[] };

/** Changes the manifest of a family in a folder of families. */
function change(models: string, folder: string, by: (manifest: Manifest) => object): void {
  const path = join(models, folder, 'manifest.json');
  writeFileSync(path, JSON.stringify(by(JSON.parse(readFileSync(path, 'utf8')) as Manifest)));
}
const describe = (models: string, folder: string, description: string) =>
  change(models, folder, (manifest) => ({ ...manifest, description }));

const repositoryOf = (app: App): Repository => app.state.repository as Repository;
const namesOf = (app: App) => app.state.service.catalog.names.sort();
const versionOf = (app: App, name: string) => app.state.service.catalog.find(name)?.family.version;

async function answer(url: string, model: string) {
  const response = await classify(url, await picture(), {}, `?model=${model}`);
  return { status: response.status, ...((await response.json()) as { modelVersion?: string }) };
}

/** Begins to send a picture; the returned function sends the rest and resolves to the answer. */
async function halfSent(t: Test, app: App, url: string, path: string, headers: Record<string, string> = {}) {
  const body = await picture();
  const sent = request(`${url}${path}`, {
    method: 'POST',
    headers: { 'Content-Length': body.length, ...headers },
  });
  t.teardown(() => sent.destroy());
  sent.write(body.subarray(0, 10));
  await until(() => app.state.inFlight.size === 1);
  return () =>
    new Promise<{ status?: number | undefined; modelVersion?: string; error?: string }>((resolve, reject) => {
      sent.on('error', reject).on('response', async (response) => {
        let text = '';
        for await (const part of response) text += part;
        resolve({ status: response.statusCode, ...JSON.parse(text) });
      });
      sent.end(body.subarray(10));
    });
}

t.test('folders that appear, change and go are followed; a request that was read before is finished', async (t) => {
  const models = tinyFamilies(t, ['a', 'b']);
  const { app, url, runtime } = await readyApp(t, { MODELS_DIR: models, MIN_UPLOAD_BYTES_PER_S: '1' });
  const repository = repositoryOf(app);
  await repository.follow();
  t.same([...runtime.added], [], 'nothing has changed');

  renameSync(join(tinyFamilies(t, ['c']), 'c'), join(models, 'c'));
  await repository.follow();
  t.same(namesOf(app), ['a', 'b', 'c']);
  t.equal((await answer(url, 'c')).status, 200);

  const before = versionOf(app, 'a');
  const finish = await halfSent(t, app, url, '/classify?model=a');
  describe(models, 'a', 'a newer one');
  const following = repository.follow();
  await until(() => versionOf(app, 'a') !== before);
  const after = versionOf(app, 'a') as string;
  t.equal((await answer(url, 'a')).modelVersion, after, 'new requests are answered by the new family');
  t.match([...runtime.kept].join(), /a\/full/, 'the old one stays loaded');
  t.equal((await finish()).modelVersion, before, 'for the request that was read before');
  await following;
  const kept = [...runtime.kept];
  t.notOk(kept.includes('a/full'), 'then it is freed');
  t.ok(kept.includes(`a@${after}/full`));
  const text = await app.state.metrics.registry.metrics();
  t.match(text, `model="a",version="${after}"} 1`);
  t.notMatch(text, `version="${before}",model="a"`);
  t.notMatch(text, `model="a",version="${before}"`);

  describe(models, 'a', 'the newest one');
  await repository.follow();
  t.not(versionOf(app, 'a'), after, 'a replaced family can be replaced again');
  t.notOk([...runtime.added].some((key) => key.startsWith(`a@${after}/`)));

  rmSync(join(models, 'b'), { recursive: true });
  await repository.follow();
  t.same(namesOf(app), ['a', 'c']);
  t.equal((await answer(url, 'b')).status, 404);
  t.notMatch(await app.state.metrics.registry.metrics(), /model_info\{model="b"/);

  for (const name of ['a', 'c']) rmSync(join(models, name), { recursive: true });
  await repository.follow();
  t.equal((await fetch(`${url}/readyz`)).status, 503, 'never ready without a family');
  t.equal((await answer(url, 'a')).status, 503);
});

t.test('whoever names a version gets no other one, though it was replaced while the body came', async (t) => {
  const models = tinyFamilies(t, ['a']);
  const { app, url } = await readyApp(t, { MODELS_DIR: models, MIN_UPLOAD_BYTES_PER_S: '1' });
  const before = versionOf(app, 'a');
  const path = `/v2/models/a/versions/${before}/infer`;
  const finish = await halfSent(t, app, url, path, { 'Inference-Header-Content-Length': '0' });
  describe(models, 'a', 'a newer one');
  const loading = repositoryOf(app).load('a');
  await until(() => versionOf(app, 'a') !== before);
  t.match(await finish(), { status: 404, error: new RegExp(`there is no version ${before}`) });
  await loading;
});

t.test('a family that cannot be served is refused with the reason, and the old one stays', async (t) => {
  const models = tinyFamilies(t, ['a', 'b']);
  const { app, url } = await readyApp(t, { MODELS_DIR: models, DEFAULT_MODEL: 'a', DEFAULT_BUDGET: 'cost=0.9' });
  const repository = repositoryOf(app);
  await repository.follow();
  const versions = ['a', 'b'].map((name) => versionOf(app, name));
  const good = readFileSync(join(models, 'b', 'manifest.json'));
  const cases: [string, () => void, RegExp][] = [
    ['not JSON', () => writeFileSync(join(models, 'b', 'manifest.json'), '{'), /not JSON/],
    [
      'a changed file',
      () => change(models, 'b', (m) => ({ ...m, files: { 'full.onnx': '0'.repeat(64) } })),
      /SHA-256|match/,
    ],
    ["another family's name", () => change(models, 'b', (m) => ({ ...m, name: 'a' })), /both hold a family named a/],
    [
      'no instance for DEFAULT_BUDGET',
      () => change(models, 'b', (m) => ({ ...m, instances: m.instances.slice(-1) })),
      /DEFAULT_BUDGET|match the format/,
    ],
  ];
  for (const [name, damage, reason] of cases) {
    damage();
    await repository.follow();
    t.match(repository.index.find((f) => f.name === 'b')?.reason, reason, name);
    t.same(
      ['a', 'b'].map((n) => versionOf(app, n)),
      versions,
    );
    t.equal((await answer(url, 'b')).status, 200);
    writeFileSync(join(models, 'b', 'manifest.json'), good);
    await repository.follow();
    t.equal(repository.index.find((f) => f.name === 'b')?.reason, undefined, 'mended');
  }
  rmSync(join(models, 'a'), { recursive: true });
  await repository.follow();
  t.same(namesOf(app), ['a', 'b'], 'what DEFAULT_MODEL names stays');
  t.match(await app.state.metrics.registry.metrics(), /family_changes_total\{event="refused"\} 4/);
});

t.test('a family whose folder has another name now, or that is in another folder, stays in service', async (t) => {
  const models = tinyFamilies(t, ['a', 'b']);
  const { app, url } = await readyApp(t, { MODELS_DIR: models });
  const repository = repositoryOf(app);
  const move = (from: string, to: string) => renameSync(join(models, from), join(models, to));
  const served = async (expected: string[], what: string) => {
    await repository.follow();
    t.same(
      repository.index.map(({ name, version, reason }) => [name, version !== undefined, reason]),
      expected.map((name) => [name, true, undefined]),
      what,
    );
    for (const name of expected) t.equal((await answer(url, name)).status, 200, `${what}: ${name}`);
  };
  move('a', 'c');
  await served(['a', 'b'], 'renamed');
  move('b', 'x');
  move('c', 'b');
  move('x', 'c');
  await served(['a', 'b'], 'two folders have changed places');
  cpSync(join(models, 'b'), join(models, 'a2'), { recursive: true });
  describe(models, 'a2', 'a newer one');
  await repository.follow();
  t.match(repository.index, [{ name: 'a', reason: undefined }, { name: 'b' }, { name: 'a2', reason: /b and a2 both/ }]);
  const before = versionOf(app, 'a');
  rmSync(join(models, 'b'), { recursive: true });
  await served(['a', 'b'], 'the folder in which it was is gone');
  t.not(versionOf(app, 'a'), before);
  change(models, 'a2', (manifest) => ({ ...manifest, name: 'd' }));
  cpSync(join(models, 'a2'), join(models, 'a1'), { recursive: true });
  describe(models, 'a1', 'the newest one');
  change(models, 'a1', (manifest) => ({ ...manifest, name: 'a' }));
  await served(['a', 'b', 'd'], 'a folder gives up a name that another one has now');
  t.equal((await answer(url, 'a')).modelVersion, versionOf(app, 'a'));
});

t.test('a family whose folder is damaged before it is looked at for the first time stays in service', async (t) => {
  const models = tinyFamilies(t, ['a', 'b']);
  const { app } = await readyApp(t, { MODELS_DIR: models });
  const repository = repositoryOf(app);
  writeFileSync(join(models, 'a', 'manifest.json'), '{');
  await repository.follow();
  t.same(namesOf(app), ['a', 'b']);
  t.match(repository.index, [{ name: 'a', reason: /not JSON/ }, { name: 'b' }]);
  rmSync(join(models, 'a'), { recursive: true });
  await repository.follow();
  t.same(namesOf(app), ['b']);
});

t.test('by name: a family that is in another folder now', async (t) => {
  const models = tinyFamilies(t, ['a', 'b']);
  const { app } = await readyApp(t, { MODELS_DIR: models });
  const repository = repositoryOf(app);
  await repository.load('a');
  renameSync(join(models, 'a'), join(models, 'c'));
  describe(models, 'c', 'a newer one');
  const before = versionOf(app, 'a');
  await repository.load('a');
  t.not(versionOf(app, 'a'), before);
  cpSync(join(models, 'c'), join(models, 'a'), { recursive: true });
  await t.rejects(repository.load('a'), { code: 'refused-model', facts: { detail: /several folders/ } });
});

t.test('by name: load and unload', async (t) => {
  const models = tinyFamilies(t, ['a', 'b']);
  const { app } = await readyApp(t, { MODELS_DIR: models });
  const repository = repositoryOf(app);
  const before = versionOf(app, 'a');
  describe(models, 'a', 'a newer one');
  await repository.load('a');
  t.not(versionOf(app, 'a'), before);
  await repository.unload('a');
  t.same(namesOf(app), ['b']);
  await repository.load('a');
  t.same(namesOf(app), ['a', 'b']);
  await t.rejects(repository.load('../a'), { code: 'unknown-model' });
  await t.rejects(repository.unload('c'), { code: 'unknown-model' });
  rmSync(join(models, 'b', 'labels.json'));
  await t.rejects(repository.load('b'), { code: 'refused-model', facts: { detail: /labels\.json is missing/ } });
  t.same(
    repository.index.map(({ name, reason }) => [name, reason !== undefined]),
    [
      ['a', false],
      ['b', true],
    ],
  );
});

t.test('on ADMIN_PORT models are listed, loaded and unloaded as Triton does it', async (t) => {
  const models = tinyFamilies(t, ['a', 'b']);
  const { app, url } = await readyApp(t, { MODELS_DIR: models, ADMIN_PORT: '0' });
  const admin = app.adminAddress as string;
  const post = async (path: string, body?: string) => {
    const response = await fetch(`${admin}/v2/repository${path}`, { method: 'POST', ...(body && { body }) });
    const text = await response.text();
    return { status: response.status, json: text && JSON.parse(text) };
  };
  t.match(await post('/index'), {
    status: 200,
    json: [
      { name: 'a', state: 'READY' },
      { name: 'b', reason: '' },
    ],
  });
  t.same(await post('/models/a/unload', '{"parameters":{"unload_dependents":true}}'), { status: 200, json: '' });
  t.equal((await answer(url, 'a')).status, 404);
  t.same(await post('/models/a/load'), { status: 200, json: '' });
  t.equal((await answer(url, 'a')).status, 200);
  for (const body of ['{"parameters":{"config":"{}"}}', '{"parameters":{"file:1/model.onnx":"AA=="}}', '[', '1']) {
    t.match(await post('/models/a/load', body), { status: 400, json: { error: /is not taken/ } }, body);
  }
  for (const body of ['[]', '[1]', '"x"', 'null', '{"parameters":5}', '{"parameters":[]}', '{"parameters":null}']) {
    for (const path of ['/models/a/load', '/models/a/unload'])
      t.match(await post(path, body), { status: 400, json: { error: /is not taken/ } }, `${path} ${body}`);
  }
  for (const body of ['[]', '"x"', '{"ready":"yes"}', '{"ready":null}'])
    t.match(await post('/index', body), { status: 400, json: { error: /is not taken/ } }, `/index ${body}`);
  for (const name of ['c', '..%2Fb', '__proto__']) {
    t.match(await post(`/models/${name}/load`), { status: 404, json: { error: /unknown-model/ } }, name);
    t.match(await post(`/models/${name}/unload`), { status: 404 });
  }
  t.match(await post('/models/a/load', ' '.repeat(5000)), { status: 413 });
  rmSync(join(models, 'b', 'full.onnx'));
  t.match(await post('/models/b/load'), { status: 409, json: { error: /full\.onnx is missing/ } });
  t.match(await post('/index', '{"ready":true}'), { json: [{ name: 'a' }, { name: 'b', reason: /missing/ }] });
  for (const path of ['/index', '/models/a/load', '/models/a/unload']) {
    t.equal((await fetch(`${admin}/v2/repository${path}`)).status, 405);
  }
  t.equal((await fetch(`${url}/v2/repository/models/a/unload`, { method: 'POST' })).status, 404, 'not on PORT');
  await Promise.all([post('/models/a/unload'), post('/models/b/unload')]);
  t.equal((await fetch(`${admin}/readyz`)).status, 503);
  t.equal((await post('/models/a/load')).status, 200, 'with no family left one can still be loaded');
  t.equal((await fetch(`${admin}/readyz`)).status, 200);
});

t.test('while requests are still served before the end, nothing is loaded or unloaded any more', async (t) => {
  const models = tinyFamilies(t, ['a', 'b']);
  const { app } = await readyApp(t, { MODELS_DIR: models, ADMIN_PORT: '0' });
  describe(models, 'a', 'a newer one');
  app.state.leaving = true;
  for (const what of ['load', 'unload']) {
    const response = await fetch(`${app.adminAddress}/v2/repository/models/a/${what}`, { method: 'POST' });
    t.equal(response.status, 503, what);
    t.match(await response.json(), { error: /^draining: / }, what);
  }
  t.equal((await fetch(`${app.adminAddress}/v2/repository/index`, { method: 'POST' })).status, 200);
  app.state.leaving = false;
});

t.test('with MODELS_WATCH nothing is loaded or unloaded by name', async (t) => {
  const models = tinyFamilies(t, ['a']);
  const { app } = await readyApp(t, { MODELS_DIR: models, ADMIN_PORT: '0', MODELS_WATCH: 'on' });
  for (const what of ['load', 'unload']) {
    const response = await fetch(`${app.adminAddress}/v2/repository/models/a/${what}`, { method: 'POST' });
    t.equal(response.status, 409);
    t.match(await response.json(), { error: /MODELS_WATCH/ });
  }
});

t.test('with real engine threads under load no request fails, and the old graphs are gone', async (t) => {
  const models = tinyFamilies(t, ['a', 'b']);
  const { app, url } = await createApp(t, { MODELS_DIR: models, ENGINE_THREADS: '2' });
  await app.start();
  const repository = repositoryOf(app);
  const statuses: number[] = [];
  const versions = new Set<string | undefined>();
  let going = true;
  const clients = Array.from({ length: 4 }, async (_, n) => {
    while (going) {
      const { status, modelVersion } = await answer(url, n % 2 ? 'a' : 'b');
      statuses.push(status);
      versions.add(modelVersion);
    }
  });
  for (const description of ['second', 'third']) {
    describe(models, 'a', description);
    await repository.follow();
    const seen = statuses.length;
    await until(() => statuses.length > seen + 8);
  }
  going = false;
  await Promise.all(clients);
  t.same(new Set(statuses), new Set([200]));
  t.ok(versions.size >= 4, 'one version of b, three of a');
  const { runtime } = app.state.service;
  await t.rejects(runtime.run({ key: 'a/full', size: 1, images: new ArrayBuffer(16 * 16 * 3) }), {
    cause: { message: /no graph a\/full/ },
  });
});

t.test('a service that watches an empty folder becomes ready with the first family', async (t) => {
  const models = temporaryFolder(t);
  const { app, url } = await createApp(t, { MODELS_DIR: models, MODELS_WATCH: 'on', ENGINE_THREADS: '1' });
  const started = app.start();
  await until(() => app.state.notReady.includes('no family'));
  t.equal((await fetch(`${url}/readyz`)).status, 503);
  renameSync(join(tinyFamilies(t, ['a']), 'a'), join(models, 'a'));
  await started;
  t.equal((await answer(url, 'a')).status, 200);
  const before = versionOf(app, 'a');
  describe(models, 'a', 'a newer one');
  await until(() => versionOf(app, 'a') !== before);
  t.pass('followed without being asked');
});

t.test('a service can end while it waits for a family, and while it loads one', async (t) => {
  const { app } = await createApp(t, { MODELS_DIR: temporaryFolder(t), MODELS_WATCH: 'on' });
  const started = app.start();
  await until(() => app.state.notReady.includes('no family'));
  await app.close();
  await t.rejects(started);
  const models = tinyFamilies(t, ['a']);
  const other = await createApp(t, { MODELS_DIR: models, ENGINE_THREADS: '1' });
  await other.app.start();
  describe(models, 'a', 'a newer one');
  const repository = repositoryOf(other.app);
  const loading = [repository.load('a'), repository.load('a'), repository.unload('a')];
  const ended = Promise.allSettled(loading);
  await other.app.close();
  for (const outcome of await ended)
    t.match(outcome, { status: 'rejected', reason: { code: 'draining' } }, 'and the family is not blamed');
  t.match(repository.index, [{ name: 'a', reason: undefined }]);
  t.notMatch(await other.app.state.metrics.registry.metrics(), /family_changes_total\{/);
});
