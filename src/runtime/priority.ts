/** The event loop goes first, and networks and decodes share what it leaves. */
import { readdirSync } from 'node:fs';
import os from 'node:os';

/**
 * Lowers the priority of every other thread of this process: on Linux it belongs to a thread, and raising it again would
 * need a right that a container does not have. Threads made later by one of these inherit it. Elsewhere a no-op.
 */
export function lowerOtherThreads(): void {
  if (process.platform !== 'linux') return;
  for (const id of readdirSync('/proc/self/task').map(Number)) {
    if (id === process.pid) continue;
    try {
      os.setPriority(id, os.constants.priority.PRIORITY_BELOW_NORMAL);
    } catch {
      // It has ended meanwhile.
    }
  }
}
