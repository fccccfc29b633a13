/** Starts and stops the built service as a separate process, with the node flags of `npm start`. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Time limit of a start: longer than one takes on CPUs that ten other processes use. */
const READY_S = 300;

/** Services to kill when the bench ends, also after an error: a remaining one would slow down the next bench. */
const started = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of started) {
    child.kill();
    child.kill('SIGCONT'); // a process that is suspended (SIGSTOP) handles no signal
  }
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

export interface ServiceProcess {
  readonly child: ChildProcess;
  readonly url: string;
}

/** The build of the service to start, and flags for node. */
export interface Build {
  /** Folder of a built checkout, with its own `dist`; default: this checkout. */
  readonly root?: string;
  /** Flags for node, before those of `npm start`. */
  readonly flags?: readonly string[];
}

/**
 * The arguments of node in the npm script `start`; `entry`, if given, replaces the script that it runs and its
 * arguments.
 */
function startArguments(root: string, entry: readonly string[] | undefined): string[] {
  const { scripts } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { scripts: { start: string } };
  const standard = scripts.start.split('&& node ')[1]?.split(' ') ?? [];
  return entry === undefined ? standard : [...standard.slice(0, -1), ...entry];
}

/**
 * Builds the service, and compiles the parts of bench/ that run in other processes, so that both sides of a comparison
 * have the same source. Raises Error if there are type errors.
 */
export function compile(): void {
  for (const project of ['tsconfig.build.json', 'bench/load/tsconfig.json']) {
    execFileSync(`${ROOT}/node_modules/.bin/tsc`, ['-p', `${ROOT}/${project}`], { stdio: 'inherit' });
  }
}

/** Path of a compiled file of bench/, such as `load/service.js`; see `compile`. */
export function compiled(file: string): string {
  return `${ROOT}/.cache/bench/bench/${file}`;
}

/** The environment variables of the Dockerfile that select and configure the allocator (jemalloc). */
export function settingsOfImage(): Record<string, string> {
  const text = readFileSync(`${ROOT}/Dockerfile`, 'utf8');
  const value = (name: string) => new RegExp(`^ENV ${name}=(\\S+)`, 'm').exec(text)?.[1] ?? '';
  return { LD_PRELOAD: value('LD_PRELOAD'), MALLOC_CONF: value('MALLOC_CONF') };
}

/**
 * Starts a service on a free port of 127.0.0.1 and resolves when it is ready. environment: added to that of this
 * process; entry: a script with arguments to run instead of the service's own. Raises Error with the log if it does not
 * get ready.
 */
export async function startService(
  environment: Record<string, string>,
  entry?: readonly string[],
  { root = ROOT, flags = [] }: Build = {},
): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [...flags, ...startArguments(root, entry)], {
    cwd: root,
    // Nothing is in front of it that has to notice its end.
    env: { ...process.env, HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'info', DRAIN_DELAY_MS: '0', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.add(child);
  let log = '';
  // The log is read all the time: if the pipe were full, the service would block.
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

/** A port of 127.0.0.1 that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
