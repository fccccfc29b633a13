import t from 'tap';
import { scatter, stack } from '../../src/engine/batch.js';

t.test('pictures are concatenated, and each gets its own logits', (t) => {
  t.same([...new Uint8Array(stack([Uint8Array.of(1, 2), Uint8Array.of(3, 4)]))], [1, 2, 3, 4]);
  t.same(
    scatter(Float32Array.of(1, 2, 3, 4, 5, 6), 2).map((l) => [...l]),
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
  );
  t.end();
});

t.test('a picture of another size, or a wrong number of logits, is an error', (t) => {
  t.throws(() => stack([Uint8Array.of(1, 2), Uint8Array.of(3)]), /picture 1 has 1 bytes/);
  t.throws(() => scatter(Float32Array.of(1, 2, 3), 2), /3 logits cannot belong to 2 pictures/);
  t.throws(() => scatter(new Float32Array(0), 2), /0 logits/);
  t.end();
});

t.test('an empty list of pictures gives an empty batch', (t) => {
  t.equal(stack([]).byteLength, 0);
  t.end();
});
