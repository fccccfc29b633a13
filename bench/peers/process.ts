/** A server as a process: started, until it has answered once, and stopped with all that it started. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from '../../src/load/client.js';
import type { Job } from '../load/job.js';
import { startOf, treeOf } from '../load/processes.js';
import { freePort, type ServiceProcess, startService, stop } from '../service.js';
import { fail } from '../support.js';
import { type Peer, withFormat } from './protocols.js';
import type { Server, Setting } from './servers.js';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
/** Longer than any start takes, dimmer's first one included, which measures the host. */
const START_S = 120;
const POLL_MS = 20;
/** Processes that have not ended by themselves then are killed. */
const END_S = 5;

/** A bench that fails leaves no peer behind; dimmer is ended by bench/service.ts. */
const peers = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of peers) kill(treeWithStarts(child));
});

export interface Versions {
  readonly python: string;
  readonly [name: string]: string;
}

/** Name and version of each line. text: requirements.txt. */
export function pinned(text: string): [string, string][] {
  return [...text.matchAll(/^([a-z][\w-]*)==(\S+)$/gm)].map(([, name = '', version = '']) => [name, version]);
}

/** Ends the process with what to do if the environment is missing or has other versions than requirements.txt. */
export function versionsOf(python: string): Versions {
  const make = `python3 -m venv .venv-peers && .venv-peers/bin/pip install -r bench/peers/requirements.txt`;
  if (!existsSync(python)) fail(`${python} is missing; make it: ${make}`);
  const wanted = pinned(readFileSync(join(FOLDER, 'requirements.txt'), 'utf8'));
  const script = [
    'import sys, json, platform, importlib.metadata as m',
    'has = {d.metadata["Name"].lower(): d.version for d in m.distributions()}',
    'print(json.dumps({"python": platform.python_version(), **{n: has.get(n, "") for n in sys.argv[1:]}}))',
  ].join('\n');
  const names = wanted.map(([name]) => name);
  const has = JSON.parse(execFileSync(python, ['-c', script, ...names], { encoding: 'utf8' })) as Versions;
  const other = wanted.filter(([name, version]) => has[name] !== version);
  if (other.length > 0) {
    const differ = other.map(([name, version]) => `${name} ${has[name] || 'missing'}, not ${version}`);
    fail(`${python} has ${differ.join('; ')}; make it anew: ${make}`);
  }
  return has;
}

export interface Circumstances {
  readonly python: string;
  /** The models' folder, and the only family of it that is served. */
  readonly models: string;
  readonly family: string;
  /** A folder for what servers keep. */
  readonly folder: string;
}

const ARGUMENTS: Readonly<Record<Peer, (port: number) => string[]>> = {
  bentoml: (port) => ['-m', 'bentoml', 'serve', 'bento_app:Classify', '--host', '127.0.0.1', '--port', `${port}`],
  litserve: () => ['litserve_app.py'],
};

async function startPeer(peer: Peer, { environment }: Setting, at: Circumstances): Promise<ServiceProcess> {
  const port = await freePort();
  const child = spawn(resolve(at.python), ARGUMENTS[peer](port), {
    cwd: FOLDER,
    env: {
      ...process.env,
      ...environment,
      PORT: `${port}`,
      FAMILY: resolve(at.models, at.family),
      // Neither may report on a bench, nor keep anything outside its folder.
      BENTOML_DO_NOT_TRACK: 'True',
      BENTOML_HOME: join(at.folder, 'bentoml'),
      ORT_DISABLE_TELEMETRY: '1',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  peers.add(child);
  return { child, url: `http://127.0.0.1:${port}` };
}

/** Only the family that is compared: the others would take memory that peers do not need. */
function startDimmer({ models, family, folder }: Circumstances): Promise<ServiceProcess> {
  const own = join(folder, 'models');
  if (!existsSync(own)) {
    mkdirSync(own);
    symlinkSync(resolve(models, family), join(own, family));
  }
  return startService({ CACHE_DIR: join(folder, 'cache'), MODELS_DIR: own, DEFAULT_MODEL: family });
}

export interface Running extends ServiceProcess {
  /** From the start of the process to the first picture that was answered. */
  readonly startMs: number;
}

/** Raises Error if it answers no picture in time. requests: as they are sent later. */
export async function start(
  { peer, name }: Server,
  setting: Setting,
  at: Circumstances,
  requests: Omit<Job, 'url' | 'closed' | 'arrivalsMs' | 'out'>,
): Promise<Running> {
  const fromMs = performance.now();
  const { child, url } = peer === undefined ? await startDimmer(at) : await startPeer(peer, setting, at);
  const client = new Client(withFormat({ ...requests, url, pictures: requests.pictures.slice(0, 1) }));
  try {
    while ((await client.post(0, requests.closedHeaders)).status !== 200) {
      if (child.exitCode !== null || performance.now() - fromMs > START_S * 1000) {
        await end(child);
        throw new Error(`${name} with ${setting.name} did not start`);
      }
      await sleep(POLL_MS);
    }
  } finally {
    await client.close();
  }
  return { child, url, startMs: performance.now() - fromMs };
}

/** The process and all below it: a server whose parent is killed may leave its workers behind. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const all = treeWithStarts(child);
  const late = setTimeout(() => child.kill('SIGKILL'), END_S * 1000);
  await stop(child);
  clearTimeout(late);
  peers.delete(child);
  kill(all);
}

interface Identified {
  readonly pid: number;
  readonly started: string | undefined;
}

const treeWithStarts = ({ pid }: ChildProcess): Identified[] =>
  pid === undefined ? [] : treeOf(pid).map((one) => ({ pid: one, started: startOf(one) }));

function kill(processes: readonly Identified[]): void {
  for (const { pid, started } of processes) {
    // Another process may have its number by now.
    if (started !== undefined && startOf(pid) === started) process.kill(pid, 'SIGKILL');
  }
}
