/** Shared by all benches: facts about the host and the commit, progress, and the result file. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { progressBar } from '../src/cli/progress.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The command that repeats the bench, and the commit, versions and CPU it ran with. */
export function circumstances() {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
  // A changed result file does not change what is measured.
  const changed = git('status', '--porcelain', '--', '.', ':!bench/results') !== '';
  return {
    command: `npm run ${process.env.npm_lifecycle_event ?? '?'} -- ${process.argv.slice(2).map(portable).join(' ')}`,
    commit: `${git('rev-parse', 'HEAD')}${changed ? ' and uncommitted changes' : ''}`,
    date: new Date().toISOString(),
    node: process.version,
    onnxruntime: versionOf('onnxruntime-node'),
    sharp: versionOf('sharp'),
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cpus: os.availableParallelism(),
    kernel: os.release(),
  };
}

/** A path without the folders of this machine: relative to the project, or, outside of it, only its last two names. */
function portable(argument: string): string {
  if (!isAbsolute(argument)) return argument;
  const inside = relative(ROOT, argument);
  return inside.startsWith('..') ? join(basename(dirname(argument)), basename(argument)) : inside;
}

/** Version of an installed npm package. */
export function versionOf(name: string): string {
  return (JSON.parse(readFileSync(`${ROOT}/node_modules/${name}/package.json`, 'utf8')) as { version: string }).version;
}

/** Shows progress on standard error: a bar on a terminal, otherwise one line for each tenth of `total` steps. */
export function progress(label: string, total: number) {
  let done = 0;
  if (!process.stderr.isTTY) {
    return {
      step() {
        done += 1;
        const tenth = (n: number) => Math.floor((10 * n) / total);
        if (tenth(done) > tenth(done - 1)) console.error(`${label}: ${done} of ${total}`);
      },
      stop() {},
    };
  }
  return progressBar(label, total);
}

/** Writes the result as JSON; does nothing if no path is given. */
export function writeResult(path: string | undefined, result: object): void {
  if (path === undefined) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
  console.error(`written to ${path}`);
}

/** Prints the message and exits with status 2: for wrong arguments, and for a service that does not fit them. */
export function fail(message: string): never {
  console.error(message);
  process.exit(2);
}
