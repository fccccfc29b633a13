import t, { type Test } from 'tap';
import { type Area, cut } from '../../src/image/cut.js';

/** 3 x 2 pixels of two channels, all different: (x, y) is [10 y + x, 100 + 10 y + x]. */
const IMAGE = {
  data: Buffer.from([0, 100, 1, 101, 2, 102, 10, 110, 11, 111, 12, 112]),
  info: { width: 3, height: 2, channels: 2 },
};

/** First channel of the area, row by row; the second is checked against it. */
function rows(t: Test, area: Area): number[][] {
  const pixels = cut(IMAGE, area);
  t.equal(pixels.length, area.width * area.height * 2);
  t.ok(pixels.every((v, n) => n % 2 === 0 || v === (pixels[n - 1] as number) + 100));
  return Array.from({ length: area.height }, (_, y) =>
    Array.from({ length: area.width }, (_, x) => pixels[(y * area.width + x) * 2] as number),
  );
}

t.test('an area within the image is copied as it lies', (t) => {
  t.same(rows(t, { left: 0, top: 0, width: 3, height: 2 }), [
    [0, 1, 2],
    [10, 11, 12],
  ]);
  t.same(rows(t, { left: 1, top: 1, width: 1, height: 1 }), [[11]]);
  t.same(rows(t, { left: 1, top: 0, width: 2, height: 1 }), [[1, 2]]);
  t.end();
});

t.test('outside the image the nearest border pixel is repeated', (t) => {
  t.same(rows(t, { left: -2, top: 0, width: 4, height: 1 }), [[0, 0, 0, 1]], 'left');
  t.same(rows(t, { left: 1, top: 1, width: 4, height: 1 }), [[11, 12, 12, 12]], 'right');
  t.same(rows(t, { left: 1, top: -2, width: 1, height: 3 }), [[1], [1], [1]], 'above');
  t.same(rows(t, { left: 1, top: 0, width: 1, height: 4 }), [[1], [11], [11], [11]], 'below');
  t.same(
    rows(t, { left: -1, top: -1, width: 5, height: 4 }),
    [
      [0, 0, 1, 2, 2],
      [0, 0, 1, 2, 2],
      [10, 10, 11, 12, 12],
      [10, 10, 11, 12, 12],
    ],
    'all around',
  );
  t.end();
});

t.test('what is cut out is a copy', (t) => {
  const area = cut(IMAGE, { left: 0, top: 0, width: 1, height: 1 });
  area.fill(255);
  t.equal(IMAGE.data[0], 0);
  t.end();
});
