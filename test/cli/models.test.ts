/** `dimmer models`, of a folder and of a service. */
import { type AddressInfo, createServer } from 'node:net';
import t, { type Test } from 'tap';
import type { z } from 'zod';
import { failureDocument, modelsDocument } from '../../src/cli/shapes.js';
import { FAMILIES, readyApp, temporaryFolder, tinyFamilies } from '../support/app.js';
import { twoNetworks } from '../support/two-networks.js';
import { dimmer, documentOf, FAKE_MODEL, fakeService, send } from './support.js';

const rowOf = (text: string, id: string) => new RegExp(`^${id} .*$`, 'm').exec(text)?.[0] ?? '';

t.test('a folder: instances, cheapest first, without latency and said so', async (t) => {
  const { status, out, err } = await dimmer(['models', '--models', FAMILIES]);
  t.equal(status, 0);
  t.equal(err, '');
  t.match(out, /^tiny \(version [0-9a-f]{12}, 3 classes, pictures of 16x16\)$/m);
  t.match(out, /^accuracy: top-1 on generated stripes/m);
  t.match(out, /^instance +p +r +cost +FLOPs +accuracy +frontier$/m);
  t.match(rowOf(out, 'full'), /^full +0 +1 +100\.0 % +432,224 +86\.17 % +yes$/);
  t.match(rowOf(out, 'p01-r500'), /^p01-r500 +1 +0\.5 +34\.6 % +149,600 +77\.33 % +yes$/);
  t.notMatch(rowOf(out, 'p01-r750'), 'yes', 'more FLOPs than p02-r500 and less accuracy');
  t.ok(out.indexOf('\np01-r500') < out.indexOf('\nfull'));
  t.match(out, /No latency: it is measured by a running service/);
});

t.test('a family of several networks: of which one each instance is', async (t) => {
  const folder = temporaryFolder(t);
  twoNetworks(folder);
  const { out } = await dimmer(['models', '--models', folder]);
  t.match(out, /^instance +network +p +r +cost +FLOPs +accuracy +frontier$/m);
  t.match(rowOf(out, 'full'), /^full +its own +0 +1 +100\.0 %/);
  t.match(rowOf(out, 'b-full'), /^b-full +b +0 +1 +70\.0 % +302,556 +85\.50 % +yes$/);
  const { url } = await readyApp(t, { MODELS_DIR: folder });
  for (const from of [
    ['--models', folder],
    ['--url', url],
  ] as const) {
    const { models } = modelsDocument.parse(documentOf(await dimmer(['models', '--json', ...from])));
    const networks = models[0]?.instances.filter((i) => i.network !== undefined).map((i) => [i.id, i.network]);
    t.same(networks, [['b-full', 'b']], from[0]);
  }
});

t.test('the folder is the setting of the service, if no option says otherwise', async (t) => {
  const { out } = await dimmer(['models'], { MODELS_DIR: tinyFamilies(t, ['one', 'two']) });
  t.match(out, /^one \(/m);
  t.match(out, /^two \(/m);
});

t.test('as JSON, from either, in one shape', async (t) => {
  const { url } = await readyApp(t);
  const shape = (document: unknown): z.infer<typeof modelsDocument> => modelsDocument.parse(document);
  const folder = shape(documentOf(await dimmer(['models', '--json', '--models', FAMILIES])));
  const service = shape(documentOf(await dimmer(['models', '--json', '--url', url])));
  t.same(folder.source, { folder: FAMILIES });
  t.same(service.source, { url: `${url}/` });
  const [ofFolder, ofService] = [folder.models[0], service.models[0]];
  t.ok(ofFolder?.instances.every((i) => i.latencyMs === null));
  t.ok(ofService?.instances.every((i) => i.latencyMs !== null));
  const same = (model: typeof ofFolder) => ({
    ...model,
    default: null,
    instances: model?.instances.map((i) => ({ ...i, latencyMs: null })),
  });
  t.same(same(ofService), same(ofFolder), 'but for latency, and which is the default');
});

t.test('a service: with the latency of one picture and of eight, and the default', async (t) => {
  const url = await fakeService(t, () => {});
  const { status, out } = await dimmer(['models', '--url', url]);
  t.equal(status, 0);
  t.match(out, /^pets \(.*, the default\)$/m);
  t.match(out, /frontier +ms, 1 picture +ms, 8 pictures$/m);
  t.match(rowOf(out, 'full'), /yes +4\.00 +20\.00$/);
});

t.test('what a newer service says besides is no error, what is missing is one', async (t) => {
  const newer = { ...FAKE_MODEL, cascades: [], instances: FAKE_MODEL.instances.map((i) => ({ ...i, joules: 1 })) };
  const { license: _license, ...older } = FAKE_MODEL;
  for (const [model, status] of [
    [newer, 0],
    [older, 1],
  ] as const) {
    const url = await serviceWith(t, { models: [model] });
    const said = await dimmer(['models', '--url', url]);
    t.equal(said.status, status);
    if (status === 1)
      t.match(said.err, /The answer cannot be read\n.*in another way than this version of dimmer knows/);
  }
});

t.test('what cannot be read is status 1, and said in words and as JSON', async (t) => {
  const empty = temporaryFolder(t);
  t.match(await dimmer(['models', '--models', empty]), { status: 0, out: `There is no family in ${empty}.\n` });
  const { status, out, err } = await dimmer(['models', '--json', '--models', '/nowhere']);
  t.equal(status, 1);
  t.match(err, /^The families cannot be read\n {2}what was wrong: MODELS_DIR=\/nowhere is not a folder/);
  t.match(failureDocument.parse(JSON.parse(out)).problem.detail, /is not a folder/);
});

t.test('nobody at this address, or somebody else', async (t) => {
  const free = await freePort();
  const nobody = await dimmer(['models', '--url', `localhost:${free}`]);
  t.equal(nobody.status, 1);
  t.match(nobody.err, /^The service cannot be reached\n {2}what was wrong: http:\/\/localhost:\d+: .*ECONNREFUSED/);
  t.match(nobody.err, /what to do: correct the address, or start a service: dimmer serve/);
  const url = await serviceWith(t, '<html>\u001b[31mnot found</html>', 404);
  const other = await dimmer(['models', '--url', url]);
  t.equal(other.status, 1);
  t.match(other.err, /^The answer is not one of a dimmer service \(404\)\n.*answered 404: <html>\ufffd\[31mnot found/);
});

t.test('who does not answer in time', async (t) => {
  const url = await serviceWith(t, undefined);
  const { status, err } = await dimmer(['models', '--url', url, '--timeout', '50']);
  t.equal(status, 1);
  t.match(err, /no answer within 50 ms/);
});

/** Answers everything so; undefined: never. */
async function serviceWith(t: Test, body: unknown, status = 200): Promise<string> {
  const base = await fakeService(t, (_request, _body, response) => {
    if (body !== undefined) send(response, status, body as object);
  });
  return `${base}/elsewhere`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}
