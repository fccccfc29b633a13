/** Writes the tensors of several graphs to one file, where equal tensors are stored once. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { embed, type Model, moveTo, type Place, packedOf, placeOf } from './graph.js';

/**
 * Every tensor in the file begins on a page boundary, because onnxruntime maps each tensor separately. Tensors smaller
 * than a page stay in their graphs: memory is shared by whole pages.
 */
const PAGE_BYTES = 4096;

export const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export class TensorStore {
  readonly #file: number;
  readonly #name: string;
  /** SHA-256 of the bytes -> where they lie. */
  readonly #places = new Map<string, Place>();
  #bytes = 0;

  /** Creates the file. name: how graphs refer to it. Raises the file system's errors, EEXIST among them. */
  constructor(path: string, name: string) {
    this.#file = openSync(path, 'wx', 0o600);
    this.#name = name;
  }

  /**
   * Moves the large tensors of a graph, and their prepacked blobs, to this file; the graph then refers to it. data:
   * contents of the file beside the graph with its external tensors. Returns how many tensors and blobs the graph
   * refers to. Raises the file system's errors.
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
    // The last tensor is padded, too: onnxruntime refuses a tensor whose last page reaches beyond the end of the file.
    const padding = (PAGE_BYTES - (bytes.length % PAGE_BYTES)) % PAGE_BYTES;
    for (const part of [bytes, new Uint8Array(padding)]) this.#write(part);
    this.#places.set(digest, place);
    return place;
  }

  /** Writes all bytes: on a disk that is almost full, one call may write only a part. */
  #write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#file, bytes, done);
    this.#bytes += bytes.length;
  }

  close(): void {
    closeSync(this.#file);
  }
}
