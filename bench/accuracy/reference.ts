/** Pure: a reference as its file has it, which is small, and as it is compared with. */
import type { Reference } from './compare.js';

/** What `training/bench/reference.py` writes: pictures by folder, and of each instance what is out of the ordinary. */
export interface Packed {
  readonly model: string;
  readonly modelVersion: string;
  /** label: the true index into the family's labels; files: names within the folder. */
  readonly folders: readonly { readonly folder: string; readonly label: number; readonly files: readonly string[] }[];
  /** By instance id; keys are places among all pictures, counted from 0 in their order. */
  readonly instances: Readonly<
    Record<
      string,
      {
        /** What was answered where that is not the label. */
        readonly wrong: Readonly<Record<string, number>>;
        /** Best logit less the second, where that is small. */
        readonly margins: Readonly<Record<string, number>>;
      }
    >
  >;
}

export function unpack({ model, modelVersion, folders, instances }: Packed): Reference {
  const files = folders.flatMap((f) => f.files.map((name) => `${f.folder}/${name}`));
  const labels = folders.flatMap((f) => f.files.map(() => f.label));
  const full = Object.entries(instances).map(([id, { wrong, margins }]) => [
    id,
    {
      predicted: labels.map((label, place) => wrong[place] ?? label),
      margins: files.map((_, place) => margins[place]),
    },
  ]);
  return { model, modelVersion, files, labels, instances: Object.fromEntries(full) };
}
