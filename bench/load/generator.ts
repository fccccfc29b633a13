/**
 * The load generator: generator.ts JOB.json. First a closed loop, then an open loop; see `Job` in job.ts.
 *
 * It writes its outcome to the file that the job names, and its events to standard output. It has a process of its own,
 * at real-time priority if permitted: it stands for clients on other machines, which do not wait for this one's CPUs.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { Client } from '../../src/load/client.js';
import { closedLoop } from '../../src/load/open-loop.js';
import { play } from '../../src/load/play.js';
import { withFormat } from '../peers/protocols.js';
import { runRealTime } from '../priority.js';
import type { GeneratorEvent, Job, Outcome, RequestRecord } from './job.js';
import { leave } from './leaver.js';

const job = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as Job;
const client = new Client(withFormat(job));
const priority = runRealTime();
await client.prime();
const { closedPerS, closedCpuShare } = await closed();
const startCpu = process.cpuUsage();
const startMs = performance.now();
say('started');
const records = await open();
const cpuShare = cpuShareSince(startCpu, startMs);
say('ended');
await client.close();
const { mostInFlight } = client;
const outcome: Outcome = { closedPerS, closedCpuShare, records, priority, cpuShare, mostInFlight };
writeFileSync(job.out, JSON.stringify(outcome));

function say(event: GeneratorEvent): void {
  console.log(event);
}

function cpuShareSince(cpu: NodeJS.CpuUsage, ms: number): number {
  const { user, system } = process.cpuUsage(cpu);
  return (user + system) / 1000 / (performance.now() - ms);
}

async function closed(): Promise<Pick<Outcome, 'closedPerS' | 'closedCpuShare'>> {
  const { connections, ms } = job.closed;
  if (ms === 0) return { closedPerS: 0, closedCpuShare: 0 };
  const halfMs = performance.now() + ms / 2;
  let answered = 0;
  let halfCpu = process.cpuUsage();
  setTimeout(() => {
    halfCpu = process.cpuUsage();
    say('counting');
  }, ms / 2);
  const endMs = performance.now() + ms;
  await closedLoop(connections, ms, async (index) => {
    const { status } = await client.post(index, job.closedHeaders);
    const nowMs = performance.now();
    if (status === 200 && nowMs > halfMs && nowMs <= endMs) answered += 1;
  });
  return { closedPerS: answered / (ms / 2000), closedCpuShare: cpuShareSince(halfCpu, halfMs) };
}

async function open(): Promise<RequestRecord[]> {
  const { arrivalsMs, leavers } = job;
  const records = await play(arrivalsMs, (index) => {
    const leaver = leavers?.[index];
    return leaver ? leave(job, client.body(index), leaver) : client.post(index);
  });
  return records.map((record, index) => {
    const left = leavers?.[index]?.moment;
    return left === undefined ? record : { ...record, left };
  });
}
