/**
 * The load, in a process of its own so that the service cannot hold it up: generator.ts JOB.json
 *
 * Writes its outcome where the job says, and to stdout when the open loop begins and has ended. It runs at real-time
 * priority, where it may: clients are other machines, which do not wait for this one's CPUs.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { runRealTime } from '../priority.js';
import { Client } from './client.js';
import type { Answer, GeneratorEvent, Job, Outcome, RequestRecord } from './job.js';
import { leave } from './leaver.js';
import { closedLoop, openLoop } from './open-loop.js';

const job = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as Job;
const client = new Client(job);
const priority = runRealTime();
await client.prime();
const closedPerS = await closed();
const startCpu = process.cpuUsage();
const startMs = performance.now();
say('started');
const records = await open();
const { user, system } = process.cpuUsage(startCpu);
const cpuShare = (user + system) / 1000 / (performance.now() - startMs);
say('ended');
await client.close();
writeFileSync(job.out, JSON.stringify({ closedPerS, records, priority, cpuShare } satisfies Outcome));

function say(event: GeneratorEvent): void {
  console.log(event);
}

async function closed(): Promise<number> {
  const { connections, ms } = job.closed;
  const halfMs = performance.now() + ms / 2;
  let answered = 0;
  await closedLoop(connections, ms, async (index) => {
    const { status } = await client.post(index, job.closedHeaders);
    if (status === 200 && performance.now() > halfMs) answered += 1;
  });
  return ms > 0 ? answered / (ms / 2000) : 0;
}

async function open(): Promise<RequestRecord[]> {
  const { arrivalsMs, leavers } = job;
  const records: RequestRecord[] = [];
  const pending: Promise<void>[] = [];
  await openLoop(arrivalsMs, (index, lagMs) => {
    const leaver = leavers?.[index];
    const scheduledMs = arrivalsMs[index] as number;
    const answer = leaver ? leave(job, client.body(index), leaver) : client.post(index);
    pending.push(
      answer.then((a) => {
        records[index] = { ...rounded(a), scheduledMs, lagMs: round(lagMs), ...(leaver && { left: leaver.moment }) };
      }),
    );
  });
  await Promise.all(pending);
  return records;
}

function rounded(answer: Answer): Answer {
  return { ...answer, latencyMs: round(answer.latencyMs) };
}

function round(ms: number): number {
  return Number(ms.toFixed(3));
}
