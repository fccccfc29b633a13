/** The built service as a process of its own, as `npm start` runs it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const READY_S = 120;

export interface ServiceProcess {
  readonly child: ChildProcess;
  readonly url: string;
}

/** node's arguments in the script `start`, so that what is measured is what people run. */
function startArguments(): string[] {
  const { scripts } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as { scripts: { start: string } };
  return scripts.start.split('&& node ')[1]?.split(' ') ?? [];
}

/** On a free port of the loopback, ready. Raises Error with the log if it does not become so. */
export async function startService(environment: Record<string, string>): Promise<ServiceProcess> {
  const child = spawn(process.execPath, startArguments(), {
    cwd: ROOT,
    env: { ...process.env, HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'info', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
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
