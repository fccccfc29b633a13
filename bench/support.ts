/** What every bench shares: where it ran, progress, and the file it leaves. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { progressBar } from '../src/cli/progress.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The command as a person would type it again, and what it ran on. */
export function circumstances() {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
  // Results of benches are no change to what they measure.
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

/** A path in the project from its root, one elsewhere by its last two names: where it lies on this machine is nobody's. */
function portable(argument: string): string {
  if (!isAbsolute(argument)) return argument;
  const inside = relative(ROOT, argument);
  return inside.startsWith('..') ? join(basename(dirname(argument)), basename(argument)) : inside;
}

/** Of an installed package. */
export function versionOf(name: string): string {
  return (JSON.parse(readFileSync(`${ROOT}/node_modules/${name}/package.json`, 'utf8')) as { version: string }).version;
}

/** A bar on a terminal; elsewhere a line for every tenth. */
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

export function writeResult(path: string | undefined, result: object): void {
  if (path === undefined) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
  console.error(`written to ${path}`);
}

/** Prints what went wrong in one line and ends with status 2: the arguments or the service are not as they should be. */
export function fail(message: string): never {
  console.error(message);
  process.exit(2);
}
