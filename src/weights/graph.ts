/** ONNX graphs as data: their tensors, in the graph or in a file beside it. */
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

/** A model with its graph, which every ONNX file has. */
export type Model = ModelProto & { graph: GraphProto };

/** Where a tensor lies in a file beside its graph. */
export interface Place {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

/** The length of a place that says none: all that comes behind its offset. */
const TO_THE_END = Number.POSITIVE_INFINITY;

/** Raises Error if these bytes are no ONNX model. */
export function readModel(bytes: Uint8Array): Model {
  const model = fromBinary(ModelProtoSchema, bytes);
  if (!model.graph) throw new Error('the ONNX file has no graph');
  return model as Model;
}

export const writeModel = (model: Model): Uint8Array => toBinary(ModelProtoSchema, model);

/**
 * A model whose tensors are all in it, as views of the files that hold them; `files` keeps those between calls, as graphs
 * of a family share one. Raises Error if a tensor lies outside of its file, or its file outside of the graph's folder.
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

/** Blobs that onnxruntime has made of a tensor, in the layout in which one kind of node wants it. */
export interface Packed {
  /** `prepacked_0`, ... */
  readonly key: string;
  /** The kind of node and a digest, by which onnxruntime finds it again. */
  readonly name: string;
  readonly blobs: readonly Pick<Place, 'offset' | 'length'>[];
}

/**
 * As onnxruntime writes them: `prepacked_0` = `QLinearConv+1576|8208;4752;0`, each blob as offset; length; checksum. Those with an
 * empty blob are left out: onnxruntime 1.30 reads them wrongly where blobs do not follow each other. They are of depthwise
 * convolutions, which are small, and are packed when they are loaded.
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

/** undefined if the tensor is in the graph itself. */
export function placeOf({ externalData }: TensorProto): Place | undefined {
  if (externalData.length === 0) return undefined;
  const { location = '', offset = '0', length } = Object.fromEntries(externalData.map((e) => [e.key, e.value]));
  return { file: location, offset: Number(offset), length: Number(length ?? TO_THE_END) };
}

export function embed(tensor: TensorProto, bytes: Uint8Array): void {
  tensor.rawData = bytes;
  tensor.externalData = [];
  tensor.dataLocation = TensorProto_DataLocation.DEFAULT;
}

/** packed: where its blobs lie in the same file. */
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
