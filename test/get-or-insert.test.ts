import t from 'tap';
import { getOrInsert } from '../src/get-or-insert.js';

t.test('a value is made once for each key, from the key, and kept', (t) => {
  const made: string[] = [];
  const map = new Map<string, number>();
  const lengthOf = (key: string) => {
    made.push(key);
    return key.length;
  };
  t.equal(getOrInsert(map, 'three', lengthOf), 5);
  t.equal(getOrInsert(map, 'three', lengthOf), 5);
  t.equal(getOrInsert(map, '', lengthOf), 0);
  t.equal(getOrInsert(map, '', lengthOf), 0, 'a value that is falsy is a value');
  t.same(made, ['three', '']);
  t.same(
    [...map],
    [
      ['three', 5],
      ['', 0],
    ],
  );
  t.end();
});
