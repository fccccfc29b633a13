/** CPU time of a process and its children; the service decodes in child processes. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

let knownTickMs: number | undefined;

/** Length in ms of a clock tick, the unit of CPU times in /proc. */
export function tickMs(): number {
  knownTickMs ??= 1000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return knownTickMs;
}

/** Process ids of the children that any thread of this process started. */
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

/** CPU ms of a process and its children, including children that have ended. Linux only. */
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
 * CPU time in ticks: user and system time of the process, and of its children that have ended. text: /proc/<pid>/stat
 * (proc_pid_stat(5)); these are the fields 12 to 15 after the name in brackets.
 */
export function processTicks(text: string): number {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return [11, 12, 13, 14].reduce((sum, place) => sum + Number(fields[place]), 0);
}
