/** Reads the CPU quota of cgroups. Node 20's `availableParallelism` knows the affinity mask but not the quota. */
import { readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

/** Where cgroups are mounted. Version 1 has a tree for each controller, whose name varies. */
const V2_ROOTS = ['sys/fs/cgroup', 'sys/fs/cgroup/unified'];
const V1_ROOTS = ['sys/fs/cgroup/cpu', 'sys/fs/cgroup/cpu,cpuacct', 'sys/fs/cgroup/cpuacct,cpu'];

/**
 * The smallest CPU quota of this process's cgroup and its ancestors, in CPUs (may be fractional). Infinity if there is
 * no quota or no cgroup (macOS). root: of the file system; tests pass another folder.
 */
export function cgroupCpus(root = '/'): number {
  const groups = groupsOf(text(join(root, 'proc/self/cgroup')) ?? '');
  const quotas = [
    ...V2_ROOTS.flatMap((tree) => upward(join(root, tree), groups.v2).map(quotaV2)),
    ...V1_ROOTS.flatMap((tree) => upward(join(root, tree), groups.v1).map(quotaV1)),
  ];
  return Math.min(Number.POSITIVE_INFINITY, ...quotas);
}

/**
 * Paths of this process's cgroups below the root of each tree, from lines such as `0::/a/b` and `4:cpu,cpuacct:/a/b`.
 */
function groupsOf(lines: string): { v1: string; v2: string } {
  const groups = { v1: '/', v2: '/' };
  for (const line of lines.split('\n')) {
    const [, id, controllers = '', path = '/'] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    if (id === '0' && controllers === '') groups.v2 = path;
    else if (controllers.split(',').includes('cpu')) groups.v1 = path;
  }
  return groups;
}

/**
 * The folders of a cgroup and its ancestors. In a container the path may be one that exists only on the host, or may
 * lead above the root (`/../x`) if the container's own cgroup is mounted there. Folders that do not exist set no quota.
 */
function upward(tree: string, path: string): string[] {
  const folders = [tree];
  for (let p = posix.normalize(`/${path}`); p !== '/'; p = dirname(p)) folders.push(join(tree, p));
  return folders;
}

/** CPUs by the file cpu.max: `<quota> <period>`, or `max <period>` for no quota. */
function quotaV2(folder: string): number {
  const [quota, period] = (text(join(folder, 'cpu.max')) ?? '').trim().split(/\s+/);
  return share(quota, period);
}

/** CPUs by cgroup version 1, where a quota of -1 stands for none. */
function quotaV1(folder: string): number {
  return share(text(join(folder, 'cpu.cfs_quota_us')), text(join(folder, 'cpu.cfs_period_us')));
}

/** Quota over period, in CPUs; Infinity if either is missing or the quota is not positive. */
function share(quota: string | undefined, period: string | undefined): number {
  const cpus = Number(quota ?? Number.NaN) / Number(period ?? Number.NaN);
  return Number.isFinite(cpus) && cpus > 0 ? cpus : Number.POSITIVE_INFINITY;
}

function text(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
