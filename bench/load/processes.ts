/** CPU of a process together with those that it started: the service decodes in processes of their own. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

let knownTickMs: number | undefined;

/** The unit of times in /proc, in ms. */
export function tickMs(): number {
  knownTickMs ??= 1000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return knownTickMs;
}

/** Started by any thread of this process. */
export function childrenOf(pid: number): number[] {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return tasks.flatMap((task) => {
    try {
      return readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
    } catch {
      return []; // the thread has ended meanwhile
    }
  });
}

/** CPU ms of a process and its children, also of those that have ended. Linux only. */
export function treeCpuMs(pid: number): number {
  const ticks = [pid, ...childrenOf(pid)].map((p) => {
    try {
      return processTicks(readFileSync(`/proc/${p}/stat`, 'utf8'));
    } catch {
      return 0; // it has ended meanwhile
    }
  });
  return ticks.reduce((a, b) => a + b, 0) * tickMs();
}

/**
 * text: /proc/<pid>/stat; after the name in brackets come the state and, from the 12th on, user and system time, and the
 * same of children that have ended.
 */
export function processTicks(text: string): number {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return [11, 12, 13, 14].reduce((sum, place) => sum + Number(fields[place]), 0);
}
