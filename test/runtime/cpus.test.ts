import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { cgroupCpus } from '../../src/runtime/cpus.js';
import { temporaryFolder } from '../support/app.js';

/** The number of CPUs that is found in a file system with these files. */
function cpus(t: Test, files: Record<string, string>): number {
  const root = temporaryFolder(t);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return cgroupCpus(root);
}
const NONE = Number.POSITIVE_INFINITY;
const V2 = 'sys/fs/cgroup';
const GROUPS = 'proc/self/cgroup';

t.test('cgroup v2: the quota of the cgroup bounds the CPUs, fractions too', (t) => {
  const quota = (text: string) => cpus(t, { [GROUPS]: '0::/\n', [`${V2}/cpu.max`]: text });
  t.equal(quota('200000 100000\n'), 2);
  t.equal(quota('150000 100000\n'), 1.5);
  t.equal(quota('50000 100000\n'), 0.5);
  t.equal(quota('max 100000\n'), NONE);
  t.equal(quota('0 100000\n'), NONE, 'no kernel says so');
  t.equal(quota('\n'), NONE);
  t.equal(cpus(t, {}), NONE, 'no cgroup, as on macOS');
  t.equal(cpus(t, { [`${V2}/cpu.max`]: '300000 100000' }), 3, 'the root alone');
  t.end();
});

t.test('cgroup v2: of nested cgroups the lowest quota counts', (t) => {
  const files = (inner: string, outer: string) => ({
    [GROUPS]: '0::/system.slice/dimmer.service\n',
    [`${V2}/system.slice/dimmer.service/cpu.max`]: inner,
    [`${V2}/system.slice/cpu.max`]: outer,
    [`${V2}/other.slice/cpu.max`]: '10000 100000',
  });
  t.equal(cpus(t, files('300000 100000', 'max 100000')), 3);
  t.equal(cpus(t, files('max 100000', '250000 100000')), 2.5);
  t.equal(cpus(t, files('300000 100000', '200000 100000')), 2);
  t.end();
});

t.test('cgroup v1, in the tree of its controller, under either name', (t) => {
  for (const tree of ['sys/fs/cgroup/cpu', 'sys/fs/cgroup/cpu,cpuacct', 'sys/fs/cgroup/cpuacct,cpu']) {
    const files = (quota: string, path = '') => ({
      [GROUPS]: '5:memory:/m\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/s\n',
      [`${tree}${path}/cpu.cfs_quota_us`]: quota,
      [`${tree}${path}/cpu.cfs_period_us`]: '100000\n',
    });
    t.equal(cpus(t, files('150000\n', '/docker/abc')), 1.5);
    t.equal(cpus(t, files('-1\n', '/docker/abc')), NONE);
    t.equal(cpus(t, files('200000\n')), 2, 'a container that sees its own cgroup as the root');
    t.equal(cpus(t, files('200000\n', '/m')), NONE, 'of another controller');
  }
  t.end();
});

t.test('cgroups of both versions at once', (t) => {
  const files = {
    [GROUPS]: '3:cpuacct,cpu:/a\n0::/b\n',
    'sys/fs/cgroup/cpu/a/cpu.cfs_quota_us': '400000',
    'sys/fs/cgroup/cpu/a/cpu.cfs_period_us': '100000',
  };
  t.equal(cpus(t, files), 4);
  t.equal(cpus(t, { ...files, 'sys/fs/cgroup/unified/b/cpu.max': '100000 100000' }), 1);
  t.end();
});

t.test('a path that leaves the root, or holds a colon, does no harm', (t) => {
  t.equal(cpus(t, { [GROUPS]: '0::/../../a\n', [`${V2}/a/cpu.max`]: '200000 100000' }), 2);
  t.equal(cpus(t, { [GROUPS]: '0::/a:b/c\n', [`${V2}/a:b/cpu.max`]: '200000 100000' }), 2);
  t.equal(cpus(t, { [GROUPS]: 'nothing of the kind' }), NONE);
  t.end();
});
