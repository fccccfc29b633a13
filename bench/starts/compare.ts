/** Compares starts of the service: served instances, and the order of their latencies. Pure. */
/** An instance as /models lists it. */
export interface Listed {
  readonly model: string;
  readonly id: string;
  readonly served: boolean;
  /** Measured ms of a run, by batch size. */
  readonly latencyMs: Readonly<Record<string, number>>;
}

export interface Start {
  readonly cache: 'empty' | 'kept';
  readonly readyMs: number;
  readonly instances: readonly Listed[];
}

const nameOf = ({ model, id }: Listed) => `${model}/${id}`;

export const servedOf = ({ instances }: Start): string[] =>
  instances
    .filter((i) => i.served)
    .map(nameOf)
    .sort();

/** Two instances whose order by latency differs between two starts, at one batch size. */
export interface Swap {
  readonly size: string;
  /** Names of the instances, the faster one at one of the starts first. */
  readonly pair: readonly [string, string];
}

/**
 * Pairs of one family, by batch size, of which the first is faster than the second by more than the tolerance (a
 * share).
 */
const faster = ({ instances }: Start, tolerance: number): Swap[] =>
  instances.flatMap((a) =>
    instances
      .filter((b) => b.model === a.model)
      .flatMap((b) =>
        Object.entries(a.latencyMs)
          .filter(([size, ms]) => ms * (1 + tolerance) < (b.latencyMs[size] ?? 0))
          .map(([size]): Swap => ({ size, pair: [nameOf(a), nameOf(b)] })),
      ),
  );

/**
 * Pairs of one family of which, by more than the tolerance, one is faster at one start and the other at another start.
 */
export function swaps(starts: readonly Start[], tolerance: number): Swap[] {
  const textOf = (size: string, a: string, b: string) => `${size} ${a} ${b}`;
  const seen = new Map<string, Swap>();
  for (const swap of starts.flatMap((s) => faster(s, tolerance))) seen.set(textOf(swap.size, ...swap.pair), swap);
  return [...seen.values()].filter(({ size, pair: [a, b] }) => a < b && seen.has(textOf(size, b, a)));
}
