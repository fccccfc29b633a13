/** A process together with its descendants, because servers do part of their work in child processes. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

let knownTickMs: number | undefined;

/** Length in ms of a clock tick, the unit of CPU times in /proc. */
export function tickMs(): number {
  knownTickMs ??= 1000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return knownTickMs;
}

/** Process ids of the children that any thread of this process started; none if it has ended. */
export function childrenOf(pid: number): number[] {
  return tasksOf(pid).flatMap((task) => {
    try {
      return readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
    } catch {
      return []; // the thread has ended meanwhile
    }
  });
}

function tasksOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** Process ids of a process and its descendants, except those whose parent has ended. Linux only. */
export function treeOf(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(treeOf)];
}

/** CPU ms of a process and its descendants, including those that have ended. Linux only. */
export function treeCpuMs(pid: number): number {
  const ticks = treeOf(pid).map((p) => {
    const text = statOf(p);
    return text === undefined ? 0 : processTicks(text);
  });
  return ticks.reduce((a, b) => a + b, 0) * tickMs();
}

/** Start time of a process in ticks since the host booted. Process id and start time together are unique. */
export function startOf(pid: number): string | undefined {
  return statFields(statOf(pid) ?? '')[19];
}

/** Text of /proc/<pid>/stat; undefined if the process has ended. */
function statOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
}

/** Fields after the process name, which is in brackets and may contain spaces. text: /proc/<pid>/stat. */
const statFields = (text: string): string[] => text.slice(text.lastIndexOf(')') + 2).split(' ');

/**
 * CPU time in ticks: user and system time of the process, and of its children that have ended. text: /proc/<pid>/stat
 * (proc_pid_stat(5)); these are the fields 12 to 15 after the name in brackets.
 */
export function processTicks(text: string): number {
  const fields = statFields(text);
  return [11, 12, 13, 14].reduce((sum, place) => sum + Number(fields[place]), 0);
}
