/**
 * CPU priorities: the event loop has the normal one; networks and decodes have a lower one and share the remaining CPU.
 */
import { readdirSync } from 'node:fs';
import os from 'node:os';

/**
 * On Linux a priority belongs to a thread. Elsewhere it belongs to the process, and lowering it would slow the event
 * loop.
 */
const OF_THREADS = process.platform === 'linux';
const LOWER = os.constants.priority.PRIORITY_BELOW_NORMAL;

/**
 * Lowers the priority of all threads of this process but the event loop's. This cannot be undone: raising a priority
 * needs a right that containers lack. Threads that a lowered thread starts inherit its priority; workers are started by
 * the event loop and do not. Does nothing except on Linux.
 */
export function lowerOtherThreads(): void {
  if (!OF_THREADS) return;
  for (const id of otherThreads()) {
    try {
      os.setPriority(id, LOWER);
    } catch {
      // The thread has ended, or may not be lowered: the service works without priorities.
    }
  }
}

/** Lowers the priority of the calling thread, and of the threads that it starts later. Does nothing except on Linux. */
export function lowerThisThread(): void {
  if (!OF_THREADS) return;
  try {
    os.setPriority(0, LOWER);
  } catch {
    // It may not be lowered: the service works without priorities.
  }
}

function otherThreads(): number[] {
  try {
    return readdirSync('/proc/self/task')
      .map(Number)
      .filter((id) => id !== process.pid);
  } catch {
    return []; // no /proc, or no file descriptor left
  }
}
