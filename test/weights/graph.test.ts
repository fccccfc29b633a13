/** Reading and writing graphs whose tensors lie in the file or beside it. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import t from 'tap';
import { moveTo, type Place, packedOf, placeOf, readModel, readWhole, writeModel } from '../../src/weights/graph.js';
import { StringStringEntryProtoSchema } from '../../src/weights/onnx_pb.js';
import { TensorStore } from '../../src/weights/store.js';
import { FAMILIES, temporaryFolder } from '../support/app.js';

const FULL = join(FAMILIES, 'tiny', 'full.onnx');

t.test('what is read and written again is the same, fields that are not known here included', (t) => {
  const bytes = readFileSync(FULL);
  const again = writeModel(readModel(bytes));
  t.same(writeModel(readModel(again)), again);
  // The input's shape and the operator set are not in the schema; without them no session could be made (fold.test.ts).
  t.ok(Math.abs(again.length - bytes.length) <= 16, `${again.length} bytes of ${bytes.length}`);
  t.end();
});

t.test('tensors that lie beside the graph are views of their file, which is read once', (t) => {
  const files = new Map<string, Uint8Array>();
  const a = readWhole(FULL, files);
  const b = readWhole(join(FAMILIES, 'tiny', 'p01-r500.onnx'), files);
  t.equal(files.size, 1);
  for (const { graph } of [a, b])
    for (const tensor of graph.initializer) t.equal(placeOf(tensor), undefined, `${tensor.name}`);
  t.end();
});

t.test('a tensor outside of its file or folder, and a file that is no graph, are errors', (t) => {
  const folder = temporaryFolder(t);
  cpSync(join(FAMILIES, 'tiny'), folder, { recursive: true });
  const path = join(folder, 'full.onnx');
  const changed = (file: string, offset: number) => {
    const model = readModel(readFileSync(FULL));
    const [tensor] = model.graph.initializer;
    if (tensor) moveTo(tensor, { file, offset, length: 100 });
    writeFileSync(path, writeModel(model));
    return () => readWhole(path, new Map());
  };
  t.throws(changed('../weights.bin', 0), /is to be read from \.\.\/weights\.bin/);
  t.throws(changed('/etc/passwd', 0), /is to be read from/);
  t.throws(changed('weights.bin', 28_600), /lies outside of/);
  t.throws(changed('weights.bin', -100), /lies outside of/);
  t.throws(changed('none.bin', 0), { code: 'ENOENT' });
  t.doesNotThrow(changed('weights.bin', 0));
  t.throws(() => readModel(Uint8Array.of()), /no graph/);
  t.throws(() => readModel(Uint8Array.of(0xff, 0xff)));
  t.end();
});

t.test('a tensor beside the graph that does not say how long it is goes to the end of the file', (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'x.onnx');
  writeFileSync(join(folder, 'weights.bin'), 'abcdef');
  const model = readModel(readFileSync(FULL));
  const [tensor] = model.graph.initializer;
  if (!tensor) throw new Error('no tensor');
  model.graph.initializer = [tensor];
  moveTo(tensor, { file: 'weights.bin', offset: 2, length: 0 });
  tensor.externalData = tensor.externalData.filter(({ key }) => key !== 'length');
  writeFileSync(path, writeModel(model));
  const [read] = readWhole(path, new Map()).graph.initializer;
  t.equal(Buffer.from(read?.rawData ?? []).toString(), 'cdef');
  t.end();
});

t.test('of several graphs each large tensor is stored once, on a page of its own; small ones stay', (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'w.bin');
  const store = new TensorStore(path, 'w.bin');
  const models = ['full', 'p01-r500'].map((id) => {
    const model = readWhole(join(FAMILIES, 'tiny', `${id}.onnx`), new Map());
    store.takeFrom(model);
    return model;
  });
  store.close();
  const written = readFileSync(path);
  const places = models.flatMap(({ graph }) => graph.initializer.flatMap((i) => placeOf(i) ?? []));
  t.ok(places.length > 1);
  const stored = new Map(places.map((p) => [p.offset, p.length]));
  t.equal(stored.size * 2, places.length, 'both have the same weights');
  const pages = [...stored.values()].reduce((sum, length) => sum + Math.ceil(length / 4096), 0);
  t.equal(written.length, pages * 4096, 'nothing else is stored');
  for (const { offset, length } of places)
    t.ok(offset % 4096 === 0 && length >= 4096 && written.length >= offset + length);
  for (const [n, model] of models.entries()) {
    const id = ['full', 'p01-r500'][n];
    const back = join(folder, `${id}.onnx`);
    writeFileSync(back, writeModel(model));
    t.same(
      readWhole(back, new Map()).graph.initializer.map((i) => [i.name, Buffer.from(i.rawData ?? [])]),
      readWhole(join(FAMILIES, 'tiny', `${id}.onnx`), new Map()).graph.initializer.map((i) => [
        i.name,
        Buffer.from(i.rawData ?? []),
      ]),
    );
  }
  t.throws(() => new TensorStore(path, 'w.bin'), { code: 'EEXIST' }, 'what is mapped is never changed');
  t.end();
});

t.test('packed values of a tensor are stored with it, once as well', (t) => {
  const folder = temporaryFolder(t);
  const data = Uint8Array.from({ length: 300 }, (_, n) => n % 256);
  const packedModel = (value: string) => {
    const model = readWhole(FULL, new Map());
    const [tensor] = model.graph.initializer;
    if (!tensor) throw new Error('no tensor');
    moveTo(tensor, { file: 'old.data', offset: 0, length: 100 });
    tensor.externalData.push(create(StringStringEntryProtoSchema, { key: 'prepacked_0', value }));
    return { model, tensor };
  };
  const store = new TensorStore(join(folder, 'w.bin'), 'w.bin');
  const [one, two] = [packedModel('QLinearConv+1|100;150;0|250;50;0'), packedModel('QLinearConv+1|100;150;0|250;50;0')];
  for (const { model } of [one, two]) store.takeFrom(model, data);
  store.close();
  const written = readFileSync(join(folder, 'w.bin'));
  t.same(packedOf(one.tensor), packedOf(two.tensor));
  const [packed] = packedOf(one.tensor);
  t.equal(packed?.name, 'QLinearConv+1');
  const at = ({ offset, length }: { offset: number; length: number }) => written.subarray(offset, offset + length);
  t.same(at(placeOf(one.tensor) as Place), Buffer.from(data.subarray(0, 100)));
  t.same(
    packed?.blobs.map((blob) => at(blob)),
    [Buffer.from(data.subarray(100, 250)), Buffer.from(data.subarray(250))],
  );
  t.equal(
    one.tensor.externalData.find((e) => e.key === 'prepacked_0')?.value,
    `QLinearConv+1|${packed?.blobs.map((b) => `${b.offset};${b.length};0`).join('|')}`,
  );
  t.same(packedOf(packedModel('QLinearConv+1|100;0;0|100;50;0').tensor), [], 'not with an empty blob');
  t.end();
});
