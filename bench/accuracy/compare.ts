/** Compares served answers with the manifest's accuracy and with a reference, picture by picture. Pure. */

/**
 * The answer to one picture. predicted, label: the answered and the true class, as indices into the family's labels.
 */
export interface Served {
  readonly file: string;
  readonly label: number;
  readonly instance: string;
  readonly predicted: number;
}

/** Answers of onnxruntime in Python to the same files, written by `training/bench/reference.py`. */
export interface Reference {
  readonly model: string;
  readonly modelVersion: string;
  readonly files: readonly string[];
  /** True class of each file, as an index into the family's labels, by position in `files`. */
  readonly labels: readonly number[];
  /** By instance id and position in `files`; margin: best logit less the second, undefined where it is not small. */
  readonly instances: Readonly<
    Record<string, { predicted: readonly number[]; margins: readonly (number | undefined)[] }>
  >;
}

/**
 * Margin (best logit less the second) below which two correct runtimes may answer differently, by rounding. Int8
 * kernels differ from processor to processor, so a different int8 answer always counts as a near tie.
 */
export const NEAR_TIE = 1e-3;

export interface Row {
  readonly instance: string;
  readonly n: number;
  readonly correct: number;
  readonly top1: number;
}

export interface Difference {
  readonly file: string;
  readonly instance: string;
  readonly served: number;
  readonly expected: number;
  /** null: not small. */
  readonly margin: number | null;
  readonly nearTie: boolean;
}

/** Served accuracy of each instance, the instance with most answers first. */
export function accuracyByInstance(all: readonly Served[]): Row[] {
  const counts = new Map<string, { n: number; correct: number }>();
  for (const { instance, label, predicted } of all) {
    const count = counts.get(instance) ?? { n: 0, correct: 0 };
    counts.set(instance, { n: count.n + 1, correct: count.correct + (label === predicted ? 1 : 0) });
  }
  return [...counts]
    .map(([instance, { n, correct }]) => ({ instance, n, correct, top1: correct / n }))
    .sort((a, b) => b.n - a.n);
}

/**
 * The pictures whose answer differs from the reference. Raises Error for a picture or instance that the reference
 * lacks.
 */
export function differences(all: readonly Served[], reference: Reference): Difference[] {
  const position = new Map(reference.files.map((file, i) => [file, i]));
  return all.flatMap(({ file, instance, predicted }) => {
    const i = position.get(file);
    const known = reference.instances[instance];
    const expected = i === undefined ? undefined : known?.predicted[i];
    if (i === undefined || expected === undefined) throw new Error(`the reference has no ${instance} for ${file}`);
    const margin = known?.margins[i] ?? null;
    return expected === predicted
      ? []
      : [
          {
            file,
            instance,
            served: predicted,
            expected,
            margin,
            nearTie: (margin !== null && margin < NEAR_TIE) || instance.endsWith('-i8'),
          },
        ];
  });
}
