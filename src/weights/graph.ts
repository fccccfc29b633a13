/**
 * Reads and writes ONNX graphs and their tensors, which lie in the graph or in a file beside it (ONNX external data).
 */
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
} from './onnx_pb.js';

/** An ONNX model that has a graph. */
export type Model = ModelProto & { graph: GraphProto };

/** Where a tensor lies in a file beside its graph, in bytes. */
export interface Place {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

/** The length of a place without one: up to the end of the file. */
const TO_THE_END = Number.POSITIVE_INFINITY;

/** Raises Error if these bytes are no ONNX model. */
export function readModel(bytes: Uint8Array): Model {
  const model = fromBinary(ModelProtoSchema, bytes);
  if (!model.graph) throw new Error('the ONNX file has no graph');
  return model as Model;
}

export const writeModel = (model: Model): Uint8Array => toBinary(ModelProtoSchema, model);

/**
 * Reads a model and embeds its external tensors as views of the files that hold them. `files` (path -> bytes) caches
 * those files between calls, because the graphs of a family share one. Raises Error if a tensor lies outside its file,
 * or a file outside the graph's folder.
 */
export function readWhole(path: string, files: Map<string, Uint8Array>): Model {
  const model = readModel(readFileSync(path));
  for (const tensor of model.graph.initializer) {
    const place = placeOf(tensor);
    if (!place) continue;
    if (basename(place.file) !== place.file) throw new Error(`${tensor.name} is to be read from ${place.file}`);
    const file = join(dirname(path), place.file);
    const bytes = files.get(file) ?? readFileSync(file);
    files.set(file, bytes);
    const { offset } = place;
    const end = place.length === TO_THE_END ? bytes.length : offset + place.length;
    if (!(offset >= 0 && offset <= end && end <= bytes.length))
      throw new Error(`${tensor.name} lies outside of ${file}`);
    embed(tensor, bytes.subarray(offset, end));
  }
  return model;
}

/** A tensor's prepacked weights: blobs that onnxruntime made of it, in the layout that one kind of node needs. */
export interface Packed {
  /** Name of the entry in the tensor's external data: `prepacked_0` and so on. */
  readonly key: string;
  /** Kind of node and a digest; onnxruntime looks the blobs up by this name. */
  readonly name: string;
  readonly blobs: readonly Pick<Place, 'offset' | 'length'>[];
}

/**
 * The prepacked weights of a tensor. onnxruntime writes them as `prepacked_0` = `QLinearConv+1576|8208;4752;0`: a name,
 * then offset; length; checksum for each blob. Entries with an empty blob are left out, because onnxruntime 1.30 reads
 * them wrongly unless all blobs are adjacent. They belong to depthwise convolutions, which are small, and are packed
 * when a session loads them.
 */
export function packedOf({ externalData }: TensorProto): Packed[] {
  return externalData.flatMap(({ key = '', value = '' }) => {
    if (!key.startsWith('prepacked_')) return [];
    const [name = '', ...blobs] = value.split('|');
    const places = blobs.map((blob) => {
      const [offset, length] = blob.split(';').map(Number) as [number, number];
      return { offset, length };
    });
    return places.every((place) => place.length > 0) ? [{ key, name, blobs: places }] : [];
  });
}

/** Where the external data of a tensor lie; undefined if the tensor is in the graph itself. */
export function placeOf({ externalData }: TensorProto): Place | undefined {
  if (externalData.length === 0) return undefined;
  const { location = '', offset = '0', length } = Object.fromEntries(externalData.map((e) => [e.key, e.value]));
  return { file: location, offset: Number(offset), length: Number(length ?? TO_THE_END) };
}

/** Puts the values of a tensor into the graph itself. */
export function embed(tensor: TensorProto, bytes: Uint8Array): void {
  tensor.rawData = bytes;
  tensor.externalData = [];
  tensor.dataLocation = TensorProto_DataLocation.DEFAULT;
}

/** Makes a tensor refer to a file. packed: where its prepacked blobs lie in that file. */
export function moveTo(tensor: TensorProto, { file, offset, length }: Place, packed: readonly Packed[] = []): void {
  const facts: Record<string, string> = { location: file, offset: `${offset}`, length: `${length}` };
  for (const { key, name, blobs } of packed)
    facts[key] = [name, ...blobs.map((blob) => `${blob.offset};${blob.length};0`)].join('|');
  tensor.externalData = Object.entries(facts).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  );
  tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
  delete tensor.rawData;
}

/** float32 values of an embedded tensor, as a copy. */
export function floatsOf({ rawData, name }: TensorProto): Float32Array<ArrayBuffer> {
  if (!rawData) throw new Error(`${name} has no float32 values`);
  return new Float32Array(Uint8Array.from(rawData).buffer);
}
