/** A process together with those that it started: the service decodes in processes of their own. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

let knownTickMs: number | undefined;

/** The unit of times in /proc, in ms. */
export function tickMs(): number {
  knownTickMs ??= 1000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return knownTickMs;
}

/** Started by any thread of this process; none if it has ended. */
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

/** A process and all that descend from it, as far as their parents live. Linux only. */
export function treeOf(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(treeOf)];
}

/** CPU ms of a process and all that descend from it, also of those that have ended. Linux only. */
export function treeCpuMs(pid: number): number {
  const ticks = treeOf(pid).map((p) => {
    const text = statOf(p);
    return text === undefined ? 0 : processTicks(text);
  });
  return ticks.reduce((a, b) => a + b, 0) * tickMs();
}

/** When a process was started, in ticks since the host was: with its number it tells it from all others. */
export function startOf(pid: number): string | undefined {
  return statFields(statOf(pid) ?? '')[19];
}

/** Undefined if it has ended. */
function statOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
}

/** text: /proc/<pid>/stat; what comes after the name in brackets, which may hold spaces. */
const statFields = (text: string): string[] => text.slice(text.lastIndexOf(')') + 2).split(' ');

/**
 * text: /proc/<pid>/stat; after the name in brackets come the state and, from the 12th on, user and system time, and the
 * same of children that have ended.
 */
export function processTicks(text: string): number {
  const fields = statFields(text);
  return [11, 12, 13, 14].reduce((sum, place) => sum + Number(fields[place]), 0);
}
