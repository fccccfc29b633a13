/** Writes the graphs of a family as onnxruntime optimises them for this host, with every tensor that several have once. */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apply, dropUnused, foldsOf, worthwhile } from './fold.js';
import { type Model, readModel, readWhole, writeModel } from './graph.js';
import { MOST_EXTRA, type Weights } from './mode.js';
import { digestOf, TensorStore } from './store.js';

/** All tensors of a family. */
const TENSORS = 'weights.bin';

export interface Source {
  /** `p02-r500`; its file is named so. */
  readonly id: string;
  readonly path: string;
  /** Whether its weights are packed for kernels, which of int8 makes them faster. */
  readonly pack: boolean;
}

/** How many batch norms that stand behind a convolution were folded into it, over all instances. */
export interface Folded {
  readonly done: number;
  readonly of: number;
}

/** What was built. */
export interface Built {
  readonly folded: Folded;
  /** Tensors that lie beside their graphs, over all instances: an engine thread maps each into memory (mappings.ts). */
  readonly mapped: number;
}

/** Optimises a model whose tensors are in it, and writes it to a path; data: with its tensors and what they are packed to there. */
export type Optimise = (model: Uint8Array, path: string, data: string | undefined) => Promise<void>;

export const fileOf = (id: string): string => `${id}.onnx`;

/** Into a folder that is there and empty. Raises what the file system and onnxruntime say. */
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
      // What was folded for it: of all instances together that may be many times the family, and here it would stay in memory.
      model.graph.initializer = [];
      const written = readModel(readFileSync(optimised));
      // Of a graph with small tensors alone onnxruntime writes no other file.
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

/** Of the distinct tensors. */
function tensorBytes(models: readonly Model[]): number {
  const distinct = new Map<string, number>();
  for (const { rawData } of models.flatMap((m) => m.graph.initializer))
    if (rawData) distinct.set(digestOf(rawData), rawData.length);
  return [...distinct.values()].reduce((a, b) => a + b, 0);
}

/** To the disk: what is renamed afterwards must not be half there when the power fails. */
function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
