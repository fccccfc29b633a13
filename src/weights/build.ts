/** Builds the shared graphs of a family: optimised by onnxruntime for this host, with equal tensors stored once. */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apply, dropUnused, foldsOf, worthwhile } from './fold.js';
import { type Model, readModel, readWhole, writeModel } from './graph.js';
import { MOST_EXTRA, type Weights } from './mode.js';
import { digestOf, TensorStore } from './store.js';

/** File with all large tensors of a family. */
const TENSORS = 'weights.bin';

export interface Source {
  /** Id of the instance, such as `p02-r500`. */
  readonly id: string;
  /** The exported graph. */
  readonly path: string;
  /** Whether its weights are packed for kernels, which makes int8 faster. */
  readonly pack: boolean;
}

/** How many batch norms were folded into their convolution (done), of those that could be (of), over all instances. */
export interface Folded {
  readonly done: number;
  readonly of: number;
}

/** Result of a build. */
export interface Built {
  readonly folded: Folded;
  /** Tensors outside their graphs, summed over all instances: an engine thread maps each into memory (mappings.ts). */
  readonly mapped: number;
}

/**
 * Optimises a model with embedded tensors and writes it to `path`. data: a file in the same folder for its tensors and
 * their packed forms; undefined to keep the tensors in the model.
 */
export type Optimise = (model: Uint8Array, path: string, data: string | undefined) => Promise<void>;

export const fileOf = (id: string): string => `${id}.onnx`;

/** Builds into an existing empty folder. Raises the errors of the file system and of onnxruntime. */
export async function build(
  sources: readonly Source[],
  weights: Weights,
  folder: string,
  optimise: Optimise,
): Promise<Built> {
  const files = new Map<string, Uint8Array>();
  const models = sources.map(({ id, pack, path }) => ({ id, pack, model: readWhole(path, files) }));
  const all = models.flatMap(({ model }) => foldsOf(model));
  const chosen = worthwhile(all, MOST_EXTRA[weights] * tensorBytes(models.map((m) => m.model)));
  let mapped = 0;
  const store = new TensorStore(join(folder, TENSORS), TENSORS);
  try {
    for (const { id, pack, model } of models) {
      for (const fold of chosen) if (fold.model === model) apply(fold);
      dropUnused(model);
      const optimised = join(folder, `${id}.whole`);
      const data = `${optimised}.data`;
      await optimise(writeModel(model), optimised, pack ? data : undefined);
      // Frees the folded weights: those of all instances together may be many times the size of the family.
      model.graph.initializer = [];
      const written = readModel(readFileSync(optimised));
      // onnxruntime writes no data file if all tensors are small.
      mapped += store.takeFrom(written, existsSync(data) ? readFileSync(data) : undefined);
      for (const file of [optimised, data]) rmSync(file, { force: true });
      writeFileSync(join(folder, fileOf(id)), writeModel(written), { flag: 'wx', mode: 0o600 });
    }
  } finally {
    store.close();
  }
  for (const file of [TENSORS, ...sources.map((s) => fileOf(s.id))]) sync(join(folder, file));
  return { folded: { done: chosen.length, of: all.length }, mapped };
}

/** Bytes of all distinct tensors. */
function tensorBytes(models: readonly Model[]): number {
  const distinct = new Map<string, number>();
  for (const { rawData } of models.flatMap((m) => m.graph.initializer))
    if (rawData) distinct.set(digestOf(rawData), rawData.length);
  return [...distinct.values()].reduce((a, b) => a + b, 0);
}

/** Flushes a file to the disk, so that a folder that is renamed afterwards is complete even after a power failure. */
function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
