import { cpSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { loadFamilies, loadFamily } from '../../src/family/load.js';
import { FAMILIES, temporaryFolder } from '../support/app.js';

/** A copy of the tiny family that a test may break. */
function copy(t: Test): string {
  const folder = join(temporaryFolder(t), 'tiny');
  cpSync(join(FAMILIES, 'tiny'), folder, { recursive: true });
  return folder;
}

type Json = { [key: string]: Json } & Json[];
function edit(folder: string, change: (manifest: Json) => void): void {
  const path = join(folder, 'manifest.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8'));
  change(manifest);
  writeFileSync(path, JSON.stringify(manifest));
}

t.test('a family is read with its facts', async (t) => {
  const family = await loadFamily(join(FAMILIES, 'tiny'));
  t.equal(family.name, 'tiny');
  t.match(family.version, /^[0-9a-f]{12}$/);
  t.equal(family.labels.length, 3);
  const full = family.instances.find((i) => i.id === 'full');
  t.match(full, { key: 'tiny/full', share: 1, p: 0, r: 1 });
  const cheapest = family.instances.find((i) => i.id === 'p01-r500');
  t.equal(cheapest?.share, (cheapest?.flops ?? 0) / (full?.flops ?? 1));
});

t.test('instances are compared by smoothed accuracy where there is one', async (t) => {
  const folder = copy(t);
  edit(folder, (m) => {
    m.instances?.forEach((i, n) => {
      Object.assign(i, { top1: 0.5, smoothed: n === 0 ? 0.6 : undefined });
    });
  });
  const [first, ...others] = (await loadFamily(folder)).instances;
  t.match(first, { top1: 0.5, accuracy: 0.6 });
  t.ok(others.length > 0 && others.every((i) => i.accuracy === 0.5));
});

t.test('a folder of links works, as Kubernetes mounts them', async (t) => {
  const folder = temporaryFolder(t);
  symlinkSync(join(FAMILIES, 'tiny'), join(folder, 'tiny'));
  const families = await loadFamilies(folder);
  t.same(
    families.map((f) => f.name),
    ['tiny'],
  );
  const real = realpathSync(join(FAMILIES, 'tiny'));
  for (const { id, graph } of families[0]?.instances ?? [])
    t.equal(graph, join(real, `${id}.onnx`), 'graphs are loaded from where they really lie');
});

t.test('what is not a family is passed over', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'notes.txt'), '');
  t.same(await loadFamilies(folder), []);
});

t.test('broken families are refused, and the message says what is wrong', async (t) => {
  const cases: [string, (folder: string) => void, RegExp][] = [
    ['changed weights', (f) => writeFileSync(join(f, 'weights.bin'), 'x'), /weights\.bin has SHA-256/],
    ['missing graph', (f) => rmSync(join(f, 'full.onnx')), /full\.onnx is missing/],
    ['no JSON', (f) => writeFileSync(join(f, 'manifest.json'), '{'), /is not JSON/],
    ['an unknown key', (f) => edit(f, (m) => void Object.assign(m, { extra: 1 })), /extra/],
    ['another format', (f) => edit(f, (m) => void Object.assign(m, { formatVersion: 1 })), /formatVersion/],
    [
      'a path instead of a name',
      (f) => edit(f, (m) => void Object.assign(m.instances?.[0] ?? {}, { file: '../x.onnx' })),
      /bare name/,
    ],
    [
      'an id that does not fit',
      (f) => edit(f, (m) => void Object.assign(m.instances?.[1] ?? {}, { p: 5 })),
      /p, r and precision give/,
    ],
    ['no full', (f) => edit(f, (m) => void (m.instances as Json[]).splice(0, 1)), /no instance `full`/],
    ['an id twice', (f) => edit(f, (m) => void (m.instances as Json[]).push(m.instances?.[0] as Json)), /listed twice/],
    ['another number of classes', (f) => edit(f, (m) => void Object.assign(m, { classes: 4 })), /3 labels.*4 classes/],
    [
      'a resize rule for another size',
      (f) => edit(f, (m) => void Object.assign(m.input ?? {}, { height: 24 })),
      /the resize rule gives/,
    ],
  ];
  for (const [name, breaking, message] of cases) {
    await t.test(name, async (t) => {
      const folder = copy(t);
      breaking(folder);
      await t.rejects(loadFamily(folder), { name: 'StartError', message });
    });
  }
});

t.test('two families of one name, or no folder at all', async (t) => {
  const folder = temporaryFolder(t);
  cpSync(join(FAMILIES, 'tiny'), join(folder, 'a'), { recursive: true });
  cpSync(join(FAMILIES, 'tiny'), join(folder, 'b'), { recursive: true });
  await t.rejects(loadFamilies(folder), { name: 'StartError', message: /two folders/ });
  await t.rejects(loadFamilies(join(folder, 'none')), { name: 'StartError', message: /is not a folder/ });
});
