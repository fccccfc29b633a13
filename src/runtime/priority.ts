/** The event loop goes first, and networks and decodes share what it leaves. */
import { readdirSync } from 'node:fs';
import os from 'node:os';

/** On Linux a priority belongs to a thread; elsewhere to the whole process, which would lower the event loop with it. */
const OF_THREADS = process.platform === 'linux';
const LOWER = os.constants.priority.PRIORITY_BELOW_NORMAL;

/**
 * Lowers the priority of every other thread of this process: raising it again would need a right that a container does not
 * have. Threads made later by one of these inherit it; by the event loop's, as workers are, they do not. Elsewhere a no-op.
 */
export function lowerOtherThreads(): void {
  if (!OF_THREADS) return;
  for (const id of otherThreads()) {
    try {
      os.setPriority(id, LOWER);
    } catch {
      // It has ended meanwhile, or may not be lowered: a priority is no reason to fail.
    }
  }
}

/** Lowers the thread that calls, and so all that it makes from now on: from its first moment, not when somebody looks. */
export function lowerThisThread(): void {
  if (!OF_THREADS) return;
  try {
    os.setPriority(0, LOWER);
  } catch {
    // As above.
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
