/** Fills the latency table at start: every instance and batch size, on all engine threads at once, as it will serve. */
import type { Family } from '../family/instance.js';
import { BATCH_SIZES } from '../policy/picture.js';
import type { Runtime } from '../runtime/runtime.js';
import type { Clock } from './clock.js';
import { ENOUGH_FOR_QUANTILE, LatencyTable } from './latency.js';

/** The time after which no further run is begun, but for those that are needed. */
const TIME_BOX_MS = 15_000;
/** Of one run alone a busy host makes what it likes: the median of three forgives one of them. */
const LEAST_ROUNDS = 3;

/** Rounds that are recorded: so many that a high quantile can leave one slow run out, on however many threads. */
const roundsOf = (threads: number) => Math.max(LEAST_ROUNDS, Math.ceil(ENOUGH_FOR_QUANTILE / threads));

interface Step {
  readonly key: string;
  readonly size: number;
  /** Of the images. */
  readonly bytes: number;
  /** Run whatever the time: without it something would not be known. */
  readonly needed: boolean;
  /** The first run of a size, up to three times as slow as the next: counted only where there is no other. */
  readonly first: boolean;
}

/**
 * Runs every instance at every batch size: one picture a few times, then one round of warm-up of the others, all of
 * that whatever the time, as no instance and no size may stay unknown; then rounds of all that are recorded while there
 * is time. Rounds, not repeats in a row, so that a noisy second spoils no single cell. One picture is also run once more
 * in a row: what that takes less it owes to the caches. onCut: told if time was over before that, so that some sizes are
 * known by their first runs only.
 */
export async function measureLatency(
  runtime: Runtime,
  families: readonly Family[],
  clock: Clock,
  onCut: () => void = () => {},
): Promise<LatencyTable> {
  const table = new LatencyTable(() => clock.now());
  const endMs = clock.now() + TIME_BOX_MS;
  const steps = stepsOf(families, roundsOf(runtime.threads));
  const firsts: [key: string, size: number, ms: number][] = [];
  await runtime.onEveryThread(async (run) => {
    for (const { key, size, bytes, needed, first } of steps) {
      if (clock.now() > endMs && !needed) return;
      const timed = async () => {
        const startMs = clock.now();
        await run({ key, size, images: new ArrayBuffer(bytes) });
        return clock.now() - startMs;
      };
      const ms = await timed();
      if (first) {
        firsts.push([key, size, ms]);
        continue;
      }
      table.measured(key, size, ms);
      if (size === 1) table.measuredAgain(key, await timed());
    }
  });
  const missing = firsts.filter(([key, size]) => !table.has(key, size));
  for (const [key, size, ms] of missing) table.measured(key, size, ms);
  if (missing.length) onCut();
  return table;
}

function stepsOf(families: readonly Family[], rounds: number): Step[] {
  const all = runsOf(families);
  const [alone, batches] = [all.filter((r) => r.size === 1), all.filter((r) => r.size > 1)];
  const times = <T>(n: number, steps: readonly T[]) => Array.from({ length: n }, () => steps).flat();
  return [
    // A thread has run size 1 once before it says that it is ready, so only the others need a round to warm up.
    ...times(LEAST_ROUNDS, alone).map((r) => ({ ...r, needed: true, first: false })),
    ...batches.map((r) => ({ ...r, needed: true, first: true })),
    ...times(rounds, all).map((r) => ({ ...r, needed: false, first: false })),
  ];
}

/** One run of each instance and batch size on each thread: the first is up to three times as slow as the next. */
export async function warmUp(runtime: Runtime, families: readonly Family[]): Promise<void> {
  await runtime.onEveryThread(async (run) => {
    for (const { key, size, bytes } of runsOf(families)) await run({ key, size, images: new ArrayBuffer(bytes) });
  });
}

function runsOf(families: readonly Family[]) {
  return BATCH_SIZES.flatMap((size) =>
    families.flatMap((f) => f.instances.map(({ key }) => ({ key, size, bytes: size * f.height * f.width * 3 }))),
  );
}
