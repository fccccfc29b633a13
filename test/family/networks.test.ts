/** Families of several networks: format 3 of the manifest. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { floatOf, fullInstance, samePlace } from '../../src/family/instance.js';
import { loadFamily } from '../../src/family/load.js';
import { instanceId, type Manifest, manifestSchema } from '../../src/family/manifest.js';
import { FAMILIES, temporaryFolder } from '../support/app.js';
import { instance } from '../support/instances.js';
import { B_FULL, twoNetworks } from '../support/two-networks.js';

const manifestIn = (folder: string): Manifest => JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));
const manifest = (t: Test) => manifestIn(twoNetworks(temporaryFolder(t)));

t.test('a family of two networks is read; `full` and shares are those of its own network', async (t) => {
  const family = await loadFamily(twoNetworks(temporaryFolder(t)));
  const own = await loadFamily(join(FAMILIES, 'tiny'));
  t.same(
    family.instances.slice(0, -1).map((i) => ({ ...i, graph: '' })),
    own.instances.map((i) => ({ ...i, graph: '' })),
    'its own instances are the same as without another network',
  );
  const full = fullInstance(family.instances);
  t.equal(full.id, 'full');
  t.equal(fullInstance(family.instances.toReversed()), full, 'wherever it stands');
  const other = family.instances.at(-1);
  t.match(other, { key: 'tiny/b-full', network: 'b', p: 0, r: 1, share: B_FULL.flops / full.flops });
  t.match(family.networks, { b: { license: 'MIT' } });
  t.equal(own.networks, undefined);
});

t.test('ids begin with the name of the network, if it is not that of `full`', (t) => {
  const [float, int8] = ['float32', 'int8'] as const;
  t.equal(instanceId({ p: 0, r: 1, precision: float }), 'full');
  t.equal(instanceId({ network: 'lite0', p: 0, r: 1, precision: float }), 'lite0-full');
  t.equal(instanceId({ network: 'lite0', p: 1, r: 0.554, precision: float }), 'lite0-p01-r554');
  t.equal(instanceId({ network: 'lite0', p: 1, r: 0.554, precision: int8 }), 'lite0-p01-r554-i8');
  t.end();
});

type Change = (manifest: Manifest, other: Manifest['instances'][number]) => unknown;
const WRONG: Readonly<Record<string, readonly [Change, path: (string | number)[], message: RegExp]>> = {
  'an unknown network': [
    (_, other) => Object.assign(other, { network: 'c', id: 'c-full' }),
    ['instances', 7, 'network'],
    /no c; expected one of b/,
  ],
  'a network by the name of a property of every object': [
    (_, other) => Object.assign(other, { network: 'constructor', id: 'constructor-full' }),
    ['instances', 7, 'network'],
    /no constructor/,
  ],
  'an id without its network': [
    (_, other) => Object.assign(other, { id: 'p04-r500' }),
    ['instances', 7, 'id'],
    /network, p, r and precision give b-full/,
  ],
  'an id with a network that it has not': [
    (_, other) => {
      delete other.network;
    },
    ['instances', 7, 'id'],
    /network, p, r and precision give full/,
  ],
  'an id of another form': [
    (_, other) => Object.assign(other, { id: 'b-1-full' }),
    ['instances', 7, 'id'],
    /expected `full` or .*`<network>-` in front/,
  ],
  'a network without an instance': [
    ({ networks }) => Object.assign(networks ?? {}, { c: networks?.b }),
    ['networks', 'c'],
    /no instance is of this network/,
  ],
  'a name with a hyphen': [
    ({ networks }) => Object.assign(networks ?? {}, { 'b-1': networks?.b }),
    ['networks', 'b-1'],
    /expected a lower-case letter/,
  ],
  'an empty licence': [
    ({ networks }) => Object.assign(networks?.b ?? {}, { license: '' }),
    ['networks', 'b', 'license'],
    /expected string to have >=1 characters/,
  ],
  'something more about a network': [
    ({ networks }) => Object.assign(networks?.b ?? {}, { extra: 1 }),
    ['networks', 'b'],
    /"extra"/,
  ],
  'no networks in format 3': [
    (m) => {
      delete m.networks;
      m.instances.pop();
    },
    ['networks'],
    /at least one network/,
  ],
  'an empty list of networks': [
    (m) => {
      m.networks = {};
      m.instances.pop();
    },
    ['networks'],
    /at least one network/,
  ],
  'networks in format 2': [
    (m) => {
      m.formatVersion = 2;
    },
    ['networks'],
    /only format 3/,
  ],
  'an instance with a network in format 2': [
    (m) => {
      m.formatVersion = 2;
      delete m.networks;
    },
    ['instances', 7, 'network'],
    /only instances of format 3/,
  ],
  'more FLOPs than full': [
    (m, other) => Object.assign(other, { flops: (m.instances[0]?.flops ?? 0) + 2 }),
    ['instances', 7, 'flops'],
    /more than 432224/,
  ],
};

for (const [name, [change, path, message]] of Object.entries(WRONG)) {
  t.test(`refused: ${name}`, async (t) => {
    const changed = manifest(t);
    t.equal(manifestSchema.safeParse(changed).success, true);
    change(changed, changed.instances[7] as Manifest['instances'][number]);
    const issues = manifestSchema.safeParse(changed).error?.issues ?? [];
    const ofPath = issues.filter((i) => JSON.stringify(i.path) === JSON.stringify(path));
    t.ok(
      ofPath.some((i) => message.test(i.message)),
      JSON.stringify(issues),
    );
    const folder = twoNetworks(temporaryFolder(t));
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify(changed));
    await t.rejects(loadFamily(folder), { name: 'StartError', message }, 'and the service says so');
  });
}

t.test('an int8 instance belongs to the float32 one of its own network, point and ratio', (t) => {
  const full = instance('full');
  const other = instance('b-full', { network: 'b', p: 0, r: 1 });
  const int8 = instance('b-full-i8', { network: 'b', p: 0, r: 1, precision: 'int8' });
  t.equal(floatOf(int8, [full, int8, other]), other);
  t.equal(floatOf(int8, [full, int8]), undefined, 'that of another network is no stand-in');
  t.ok(samePlace(other, int8));
  t.notOk(samePlace(full, other));
  t.end();
});
