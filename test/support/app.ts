import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import sharp from 'sharp';
import tap, { type Test } from 'tap';
import { App, type Dependencies } from '../../src/app.js';
import { readConfig } from '../../src/config.js';
import type { DecodingProcess } from '../../src/image/process.js';
import { ChildDecoder } from '../../src/image/process.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { FakeRuntime } from './fake-runtime.js';

export const FAMILIES = fileURLToPath(new URL('../fixtures/families', import.meta.url));

/** A temporary folder, deleted when the test ends. */
export function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'dimmer-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Decoding processes that the tests of a file share, because starting one takes longer than most tests. */
const idleProcesses: ChildDecoder[] = [];
tap.teardown(async () => {
  for (const process of idleProcesses) process.close();
  await Promise.all(idleProcesses.map((p) => p.ended));
});

/** A decoding process that is kept for the next test when it is closed. */
function sharedProcess(): DecodingProcess {
  const real = idleProcesses.pop() ?? new ChildDecoder();
  let close = () => {};
  const closed = new Promise<string>((resolve) => {
    close = () => resolve('closed');
  });
  return {
    ready: real.ready,
    ended: Promise.race([real.ended, closed]),
    get cpuMs() {
      return real.cpuMs;
    },
    ask: (message) => real.ask(message),
    yieldCpu: () => real.yieldCpu(),
    kill: () => real.kill(),
    close: () => {
      idleProcesses.push(real);
      close();
    },
  };
}

/** The CACHE_DIR of all applications of a file: measuring the host takes longer than most tests. */
let sharedCache: string | undefined;

/** The whole application, listening on a free port of 127.0.0.1 but not started; closed when the test ends. */
export async function createApp(
  t: Test,
  environment: Record<string, string> = {},
  { logger, ...dependencies }: Dependencies & { readonly logger?: Logger } = {},
) {
  sharedCache ??= temporaryFolder(tap);
  const config = readConfig({
    PORT: '0',
    HOST: '127.0.0.1',
    MODELS_DIR: FAMILIES,
    CACHE_DIR: sharedCache,
    LOG_LEVEL: 'silent',
    REHEARSAL_REQUESTS: '0',
    ...environment,
  });
  const app = await App.create(config, logger ?? createLogger(config.LOG_LEVEL), {
    startProcess: sharedProcess,
    ...dependencies,
  });
  t.teardown(() => app.close());
  return { app, url: await app.listen() };
}

/**
 * The whole application, ready, on a fake runtime of the device that the environment asks for. The runtime answers at
 * once unless `runtime.held` is set.
 */
export async function readyApp(
  t: Test,
  environment: Record<string, string> = {},
  dependencies: Parameters<typeof createApp>[2] = {},
) {
  const device = environment.EXECUTION_PROVIDER === 'cuda' ? 'cuda' : 'cpu';
  const runtime = new FakeRuntime({ held: false, device });
  const { app, url } = await createApp(t, environment, { startRuntime: async () => runtime, ...dependencies });
  // Closing waits for pictures in flight, so none may be held back then. Teardowns run in reverse order.
  t.teardown(() => {
    runtime.held = false;
    for (const run of [...runtime.runs]) run.finish();
  });
  await app.start();
  return { app, url, runtime };
}

/** A picture of the input size of the tiny family. */
export const picture = (format: 'png' | 'jpeg' | 'webp' | 'avif' | 'gif' | 'tiff' = 'png', width = 16, height = 16) =>
  sharp({ create: { width, height, channels: 3, background: '#c04080' } })
    .toFormat(format)
    .toBuffer();

/** Posts a picture. */
export const classify = (
  url: string,
  body: NonNullable<RequestInit['body']>,
  headers: Record<string, string> = {},
  query = '',
) => fetch(`${url}/classify${query}`, { method: 'POST', body, headers });

/** Waits until something holds; fails after 30 s. */
export async function until(holds: () => boolean): Promise<void> {
  const endMs = Date.now() + 30_000;
  while (!holds()) {
    if (Date.now() > endMs) throw new Error(`did not come true: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A folder with the tiny family under each of these names. */
export function tinyFamilies(t: Test, names: readonly string[]): string {
  const models = temporaryFolder(t);
  for (const name of names) {
    cpSync(join(FAMILIES, 'tiny'), join(models, name), { recursive: true });
    const path = join(models, name, 'manifest.json');
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), name }));
  }
  return models;
}
