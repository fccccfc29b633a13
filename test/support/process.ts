/** Starts the service as a separate process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { FAMILIES, temporaryFolder } from './app.js';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/**
 * Starts the service under the same loaders as this test. `home` is its home and temporary folder. It does not delay its
 * end, unless the test says so.
 */
export function start(t: Test, environment: Record<string, string> = {}) {
  const home = temporaryFolder(t);
  const child = spawn(process.execPath, [...process.execArgv, MAIN], {
    env: {
      ...process.env,
      PORT: '0',
      HOST: '127.0.0.1',
      MODELS_DIR: FAMILIES,
      HOME: home,
      TMPDIR: home,
      DRAIN_DELAY_MS: '0',
      ...environment,
    },
  });
  t.teardown(() => child.exitCode ?? child.kill('SIGKILL'));
  const log: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => log.push(String(data)));
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { child, exit, home, text: () => log.join('') };
}

export async function readyAt(service: { child: ChildProcess; text: () => string }): Promise<string> {
  while (!/"msg":"ready"/.test(service.text())) {
    if (service.child.exitCode !== null) throw new Error(service.text());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return /"address":"([^"]+)"/.exec(service.text())?.[1] as string;
}
