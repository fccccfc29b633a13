/** API_KEYS_FILE is read again when it has changed, however it is replaced. */
import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { NamedKey } from '../../src/access/keys.js';
import { CHECK_MS, KeysFile, readKeysFile } from '../../src/access/keys-file.js';
import { temporaryFolder, until } from '../support/app.js';
import { FakeClock } from '../support/fake-clock.js';

const lineOf = (name: string) => `${name}:${createHash('sha256').update(name).digest('hex')}\n`;

/** A file that is watched, with the names that count now and what was logged. */
async function watched(t: Test, path: string) {
  const { text, keys } = await readKeysFile(path);
  const names = (all: readonly NamedKey[]) => all.map(({ name }) => name).join();
  const log: string[] = [];
  const state = { names: names(keys), log };
  const logger = { error: (facts: object) => log.push(JSON.stringify(facts)), info: () => log.push('changed') };
  const clock = new FakeClock();
  const file = new KeysFile(path, text, clock, logger as never, (changed) => {
    state.names = names(changed);
  });
  t.teardown(() => file.close());
  return { state, clock, file };
}

t.test('written anew, replaced, and linked to another folder as Kubernetes does', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'keys');
  const version = (name: string, text: string) => {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'keys'), text);
    symlinkSync(name, join(folder, '..next'));
    renameSync(join(folder, '..next'), join(folder, '..data'));
  };
  version('..1', lineOf('alice'));
  symlinkSync('..data/keys', path);
  const { state, file } = await watched(t, path);
  t.equal(state.names, 'alice');

  version('..2', lineOf('alice') + lineOf('bob'));
  rmSync(join(folder, '..1'), { recursive: true });
  await file.check();
  t.equal(state.names, 'alice,bob', 'the path is the same, and all of its files are');

  rmSync(path);
  writeFileSync(path, lineOf('carol'));
  await file.check();
  t.equal(state.names, 'carol', 'a file in place of the link');
  writeFileSync(`${path}.new`, lineOf('david'));
  renameSync(`${path}.new`, path);
  await file.check();
  t.equal(state.names, 'david', 'of the same size, at the same moment');
  writeFileSync(path, lineOf('erica'));
  await file.check();
  t.equal(state.names, 'erica', 'written in place');
  t.same(state.log, ['changed', 'changed', 'changed', 'changed']);
  await file.check();
  t.equal(state.log.length, 4, 'nothing new');
});

t.test('a new file that cannot be used is reported once, and the keys from before still count', async (t) => {
  const path = join(temporaryFolder(t), 'keys');
  writeFileSync(path, lineOf('alice'));
  const { state, file } = await watched(t, path);
  const broken: [() => void, RegExp][] = [
    [() => writeFileSync(path, 'alice:topsecret'), /line 1: expected the SHA-256/],
    [() => writeFileSync(path, '# all gone\n'), /holds no key/],
    [() => writeFileSync(path, `#${'x'.repeat(2 * 1024 * 1024)}\n${lineOf('alice')}`), /more than 1048576 bytes/],
    [() => rmSync(path), /ENOENT/],
    [() => mkdirSync(path), /EISDIR/],
  ];
  for (const [change, reason] of broken) {
    change();
    await file.check();
    t.match(state.log.at(-1), reason);
    const { length } = state.log;
    await file.check();
    t.equal(state.log.length, length, 'once');
    t.equal(state.names, 'alice');
  }
  t.notMatch(state.log.join(), 'topsecret');
  rmSync(path, { recursive: true });
  writeFileSync(path, lineOf('bob'));
  await file.check();
  t.equal(state.names, 'bob', 'and a good one is taken');
});

t.test('it is looked at again and again, until it is closed', async (t) => {
  const path = join(temporaryFolder(t), 'keys');
  writeFileSync(path, lineOf('alice'));
  const { state, clock, file } = await watched(t, path);
  for (const name of ['bob', 'carol']) {
    writeFileSync(path, lineOf(name));
    await clock.pass(CHECK_MS);
    await until(() => state.names === name && clock.timers === 1);
  }
  file.close();
  t.equal(clock.timers, 0);
});

t.test('at the start a file that cannot be used is an error', async (t) => {
  const path = join(temporaryFolder(t), 'keys');
  await t.rejects(readKeysFile(path), { name: 'StartError', message: /API_KEYS_FILE=.*ENOENT/ });
  await t.rejects(readKeysFile('/dev/zero'), { name: 'StartError', message: /more than 1048576 bytes/ });
  writeFileSync(path, 'alice');
  await t.rejects(readKeysFile(path), { name: 'StartError', message: /API_KEYS_FILE=.*line 1/ });
});
