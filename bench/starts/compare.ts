/** What two starts of the service have in common. Pure. */
export interface Listed {
  readonly model: string;
  readonly id: string;
  readonly served: boolean;
  /** By batch size. */
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

export interface Swap {
  readonly size: string;
  /** The first one was faster at one start, the second one at another. */
  readonly pair: readonly [string, string];
}

/** Pairs of which the first is faster than the second by more than the tolerance, with the batch size. */
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

/** Pairs of a family that differ by more than the tolerance one way round at one start and the other way round at another. */
export function swaps(starts: readonly Start[], tolerance: number): Swap[] {
  const textOf = (size: string, a: string, b: string) => `${size} ${a} ${b}`;
  const seen = new Map<string, Swap>();
  for (const swap of starts.flatMap((s) => faster(s, tolerance))) seen.set(textOf(swap.size, ...swap.pair), swap);
  return [...seen.values()].filter(({ size, pair: [a, b] }) => a < b && seen.has(textOf(size, b, a)));
}
