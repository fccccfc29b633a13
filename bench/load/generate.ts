/** Runs the load generator (generator.ts) in its own process and returns its outcome. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EVENTS, type GeneratorEvent, type Job, type Outcome } from './job.js';

/**
 * The helper threads of the garbage collector have no real-time priority: with them the generator would wait for a busy
 * CPU.
 */
const FLAGS = ['--single-threaded-gc'];
const SCRIPT = fileURLToPath(new URL('generator.ts', import.meta.url));

/** Plays a job. on: called at the events of the generator (`EVENTS` in job.ts). Raises Error if the generator fails. */
export async function generate(
  job: Omit<Job, 'out'>,
  on: (event: GeneratorEvent) => void = () => {},
): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'dimmer-load-'));
  try {
    const [jobFile, out] = [join(folder, 'job.json'), join(folder, 'outcome.json')];
    writeFileSync(jobFile, JSON.stringify({ ...job, out } satisfies Job));
    const child = spawn(process.execPath, [...FLAGS, ...process.execArgv, SCRIPT, jobFile], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      for (const event of EVENTS) if (text.includes(event)) on(event);
    });
    const [status] = (await once(child, 'exit')) as [number | null];
    if (status !== 0) throw new Error(`the generator ended with status ${status}`);
    return JSON.parse(readFileSync(out, 'utf8')) as Outcome;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
