/** Tensors of several graphs in one file, each of them once. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { embed, type Model, moveTo, type Place, packedOf, placeOf } from './graph.js';

/**
 * A tensor begins with a page of its own, as onnxruntime maps each into memory for itself; smaller ones stay in their graphs,
 * as nothing less than a page can be shared.
 */
const PAGE_BYTES = 4096;

export const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export class TensorStore {
  readonly #file: number;
  readonly #name: string;
  readonly #places = new Map<string, Place>();
  #bytes = 0;

  /** A new file. Raises what the file system says. */
  constructor(path: string, name: string) {
    this.#file = openSync(path, 'wx', 0o600);
    this.#name = name;
  }

  /**
   * Moves the large tensors of a graph to the file, and what they were packed to; how many that are together. data: the file
   * beside the graph that holds those that are not in it. Raises what the file system says.
   */
  takeFrom({ graph }: Model, data: Uint8Array = new Uint8Array()): number {
    const bytesAt = ({ offset, length }: Pick<Place, 'offset' | 'length'>) => data.subarray(offset, offset + length);
    let moved = 0;
    const move = (bytes: Uint8Array): Place => {
      moved += 1;
      return this.#placeOf(bytes);
    };
    for (const tensor of graph.initializer) {
      const place = placeOf(tensor);
      const bytes = place ? bytesAt(place) : tensor.rawData;
      if (!bytes) continue;
      const packed = packedOf(tensor);
      if (packed.length === 0 && bytes.length < PAGE_BYTES) embed(tensor, bytes);
      else {
        const blobs = packed.map((p) => ({ ...p, blobs: p.blobs.map((blob) => move(bytesAt(blob))) }));
        moveTo(tensor, move(bytes), blobs);
      }
    }
    return moved;
  }

  #placeOf(bytes: Uint8Array): Place {
    const digest = digestOf(bytes);
    const known = this.#places.get(digest);
    if (known) return known;
    const place = { file: this.#name, offset: this.#bytes, length: bytes.length };
    // Written to the end of the last page, too: onnxruntime refuses what lies behind the end of a file.
    const padding = (PAGE_BYTES - (bytes.length % PAGE_BYTES)) % PAGE_BYTES;
    for (const part of [bytes, new Uint8Array(padding)]) this.#write(part);
    this.#places.set(digest, place);
    return place;
  }

  /** A disk that is almost full takes less at once than it was given. */
  #write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#file, bytes, done);
    this.#bytes += bytes.length;
  }

  close(): void {
    closeSync(this.#file);
  }
}
