import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { distrust, makeFolder, readOwn, writeOwn } from '../src/own-folder.js';
import { temporaryFolder } from './support/app.js';

const LINUX = process.platform === 'linux';

t.test('a folder and those it lies in are made, for this user alone', (t) => {
  const folder = join(temporaryFolder(t), 'a', 'b', 'c');
  makeFolder(folder);
  t.equal(statSync(folder).mode & 0o777, 0o700);
  t.equal(statSync(join(folder, '..')).mode & 0o777, 0o700);
  chmodSync(folder, 0o750);
  makeFolder(`${folder}/`);
  t.equal(statSync(folder).mode & 0o777, 0o750, 'one that is there stays as it is');
  t.equal(distrust(folder), undefined);
  t.end();
});

t.test('where no folder can be made, that is an error and no endless loop', (t) => {
  const file = join(temporaryFolder(t), 'file');
  writeFileSync(file, '');
  const broken = join(temporaryFolder(t), 'broken');
  symlinkSync('/nowhere/at/all', broken);
  const cases = [file, join(file, 'x'), join(file, 'x', 'y'), broken, `/${'n'.repeat(300)}`, `/${'n/'.repeat(5000)}`];
  if (LINUX) cases.push('/proc/x', '/proc/x/y', '/proc/self/fd/x', '/dev/null/x', '/sys/x', '/sys/fs/cgroup/x/../../x');
  for (const path of cases) t.throws(() => makeFolder(path), { code: /^E[A-Z]+$/ }, path.slice(0, 40));
  t.end();
});

t.test('a file is written completely or not at all, and only its owner can read it', (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'file.json');
  t.equal(readOwn(path, 100), undefined);
  writeOwn(path, 'one');
  writeOwn(path, 'two');
  t.equal(readOwn(path, 100), 'two');
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.throws(() => readOwn(path, 2), /3 bytes/);
  mkdirSync(join(folder, 'taken'));
  t.throws(() => writeOwn(join(folder, 'taken'), 'x'));
  t.same(readdirSync(folder).sort(), ['file.json', 'taken'], 'nothing half written is left');
  t.throws(() => writeOwn(join(folder, 'n'.repeat(300)), 'x'), { code: 'ENAMETOOLONG' });
  t.end();
});

t.test('only a plain file that others cannot write is read, and a pipe does not block', (t) => {
  const folder = temporaryFolder(t);
  const pipe = join(folder, 'pipe');
  if (spawnSync('mkfifo', [pipe]).status === 0) t.throws(() => readOwn(pipe, 100), /plain file/);
  t.throws(() => readOwn(folder, 100), /plain file/);
  const link = join(folder, 'link');
  writeOwn(join(folder, 'file'), 'x');
  symlinkSync(join(folder, 'file'), link);
  t.throws(() => readOwn(link, 100), { code: 'ELOOP' });
  chmodSync(join(folder, 'file'), 0o620);
  t.throws(() => readOwn(join(folder, 'file'), 100), /written by others/);
  t.end();
});

t.test('a folder of another user is not trusted, one of the superuser is', (t) => {
  const own = process.geteuid;
  const user = own?.();
  if (user === undefined) return t.end();
  t.teardown(() => Object.assign(process, { geteuid: own }));
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o700);
  const file = join(folder, 'file');
  writeOwn(file, 'x');
  if (user === 0) for (const path of [folder, file]) chownSync(path, 1000, 1000);
  else Object.assign(process, { geteuid: () => user + 1 });
  t.match(distrust(folder), /belongs to user/);
  t.throws(() => readOwn(file, 100), /belongs to user/);
  t.equal(distrust('/'), undefined);
  t.end();
});
