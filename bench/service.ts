/** The built service as a process of its own, as `npm start` runs it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Longer than a start takes where the CPUs are shared by ten others. */
const READY_S = 300;

/** A bench that fails leaves no service behind: it would slow the next one, and hold its pipes open. */
const started = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of started) {
    child.kill();
    child.kill('SIGCONT'); // one that is stopped would not hear
  }
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

export interface ServiceProcess {
  readonly child: ChildProcess;
  readonly url: string;
}

/** Which build of the service is started, and how node runs it. */
export interface Build {
  /** A checkout with its own `dist` and models; this one if not given. */
  readonly root?: string;
  /** For node, before its own. */
  readonly flags?: readonly string[];
}

/** node's arguments in the script `start`, so that what is measured is what people run; with another entry, if given. */
function startArguments(root: string, entry: readonly string[] | undefined): string[] {
  const { scripts } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { scripts: { start: string } };
  const standard = scripts.start.split('&& node ')[1]?.split(' ') ?? [];
  return entry === undefined ? standard : [...standard.slice(0, -1), ...entry];
}

/**
 * Builds the service, and compiles what benches run in its place or beside it: the same source on both sides of a
 * comparison. Raises Error if the service has type errors.
 */
export function compile(): void {
  for (const project of ['tsconfig.build.json', 'bench/load/tsconfig.json']) {
    execFileSync(`${ROOT}/node_modules/.bin/tsc`, ['-p', `${ROOT}/${project}`], { stdio: 'inherit' });
  }
}

/** Where `compile` puts a file of bench/, `load/service.js`. */
export function compiled(file: string): string {
  return `${ROOT}/.cache/bench/bench/${file}`;
}

/** The allocator's environment variables, as the Dockerfile has them. */
export function settingsOfImage(): Record<string, string> {
  const text = readFileSync(`${ROOT}/Dockerfile`, 'utf8');
  const value = (name: string) => new RegExp(`^ENV ${name}=(\\S+)`, 'm').exec(text)?.[1] ?? '';
  return { LD_PRELOAD: value('LD_PRELOAD'), MALLOC_CONF: value('MALLOC_CONF') };
}

/**
 * On a free port of the loopback, ready. entry: a script to run instead of the service's own, and its arguments.
 * Raises Error with the log if it does not become so.
 */
export async function startService(
  environment: Record<string, string>,
  entry?: readonly string[],
  { root = ROOT, flags = [] }: Build = {},
): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [...flags, ...startArguments(root, entry)], {
    cwd: root,
    env: { ...process.env, HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'info', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.add(child);
  let log = '';
  // Read to the end: a service whose log nobody reads would be stopped by the full pipe.
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    log = `${log}${text}`.slice(-100_000);
  });
  for (const endMs = Date.now() + READY_S * 1000; !log.includes('"msg":"ready"'); await sleep(50)) {
    if (child.exitCode !== null || Date.now() > endMs) {
      child.kill('SIGKILL');
      throw new Error(`the service did not start:\n${log}`);
    }
  }
  const url = /"address":"(http:[^"]+)"/.exec(log)?.[1];
  if (url === undefined) throw new Error(`the service did not say where it is:\n${log}`);
  return { child, url };
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}
