/** Priorities of the threads of this process, from /proc. Linux only: elsewhere a priority belongs to the process. */
import { readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { loadFamily } from '../../src/family/load.js';
import { ThreadPool } from '../../src/runtime/pool.js';
import { lowerOtherThreads } from '../../src/runtime/priority.js';
import type { Batch, Graph } from '../../src/runtime/runtime.js';
import { FAMILIES, until } from '../support/app.js';

const LINUX = process.platform === 'linux';
const WHY = 'priorities of threads are Linux only';
const LOWER = os.constants.priority.PRIORITY_BELOW_NORMAL;
const ENGINE = new URL('../fixtures/dying-engine.ts', import.meta.url);
const THREADS_IN_A_RUN = 3;
const SESSIONS = 2;

const threads = () => new Set(readdirSync('/proc/self/task').map(Number));
/** Nice value of a thread: field 19 of stat (proc_pid_stat(5)); the name before it may contain spaces. */
const niceOf = (id: number) =>
  Number(readFileSync(`/proc/self/task/${id}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[16]);
const since = (before: ReadonlySet<number>) => [...threads()].filter((id) => !before.has(id));
/**
 * Threads with lower priority: an engine thread and the threads of its sessions. A TypeScript loader makes others
 * before.
 */
const OF_ENGINE = 1 + SESSIONS * (THREADS_IN_A_RUN - 1);
const lowered = (ids: readonly number[]) => ids.filter((id) => niceOf(id) === LOWER).length;
const batch = (key: string, first = 0): Batch => {
  const images = new Uint8Array(16 * 16 * 3);
  images[0] = first;
  return { key, size: 1, images: images.buffer };
};

async function startPool(onThread: (event: string) => void = () => {}) {
  const { instances, height, width } = await loadFamily(join(FAMILIES, 'tiny'));
  const graphs = instances
    .slice(0, SESSIONS)
    .map((i): Graph => ({ key: i.key, path: i.graph, shape: [height, width, 3], classes: 3 }));
  return ThreadPool.start({
    threads: 1,
    onnxThreads: THREADS_IN_A_RUN,
    provider: 'cpu',
    graphs,
    worker: ENGINE,
    onThread,
  });
}

t.test(
  'an engine thread and all that onnxruntime makes in it give way from the start, and the event loop does not',
  { skip: !LINUX && WHY },
  async (t) => {
    const own = niceOf(process.pid);
    const before = threads();
    const pool = await startPool();
    t.teardown(() => pool.close());
    const made = since(before);
    t.ok(lowered(made) >= OF_ENGINE, `${lowered(made)} of ${made.length}`);
    lowerOtherThreads();
    t.equal(lowered(since(before)), since(before).length, 'and when the service looks, all do');
    t.equal(niceOf(process.pid), own);
  },
);

t.test('a thread that replaces a dead one has the lower priority, too', { skip: !LINUX && WHY }, async (t) => {
  const events: string[] = [];
  const pool = await startPool((event) => events.push(event));
  t.teardown(() => pool.close());
  const before = threads();
  await t.rejects(pool.run(batch('tiny/full', 14)));
  await until(() => events.includes('replaced'));
  const made = since(before);
  t.ok(lowered(made) >= OF_ENGINE, `${lowered(made)} of ${made.length}`);
  lowerOtherThreads();
  t.equal(lowered(since(before)), since(before).length, 'and when the service looks, all do');
});

t.test('all threads but the event loop’s can be lowered', { skip: !LINUX && WHY }, (t) => {
  const own = niceOf(process.pid);
  lowerOtherThreads();
  const others = [...threads()].filter((id) => id !== process.pid);
  t.ok(others.length > 0);
  t.same(new Set(others.map(niceOf)), new Set([LOWER]));
  t.equal(niceOf(process.pid), own);
  t.end();
});

for (const [how, first] of [
  ['process.exit', 13],
  ['an error', 14],
] as const) {
  t.test(
    `a thread that dies by ${how} takes the threads of its sessions with it`,
    { skip: !LINUX && WHY },
    async (t) => {
      let replaced = 0;
      const pool = await startPool((event) => {
        if (event === 'replaced') replaced += 1;
      });
      t.teardown(() => pool.close());
      const before = threads().size;
      for (let n = 1; n <= 3; n++) {
        await t.rejects(pool.run(batch('tiny/full', first)));
        await until(() => replaced === n);
      }
      await until(() => threads().size <= before);
      t.equal((await pool.run(batch('tiny/full'))).length, 3);
    },
  );
}
