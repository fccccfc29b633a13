import { readFileSync } from 'node:fs';

/**
 * CPUs granted by the cgroup's quota, at least 1; Infinity if there is no quota or no cgroup (macOS).
 * Node 20's `availableParallelism` knows the affinity mask but not the quota.
 */
export function cgroupCpus(file = '/sys/fs/cgroup/cpu.max'): number {
  try {
    const [quota, period] = readFileSync(file, 'utf8').trim().split(' ');
    const cpus = Number(quota) / Number(period);
    return Number.isFinite(cpus) ? Math.max(1, Math.floor(cpus)) : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
