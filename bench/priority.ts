/** Scheduling priority of load generators: real clients are other machines, which do not wait for this one's CPUs. */
import { execFileSync } from 'node:child_process';

/** Gives this process real-time priority, if permitted. If not, its measurements include its own waiting for a CPU. */
export function runRealTime(): 'real-time' | 'normal' {
  try {
    execFileSync('chrt', ['--reset-on-fork', '--fifo', '--pid', '1', String(process.pid)], { stdio: 'ignore' });
    return 'real-time';
  } catch {
    return 'normal';
  }
}
