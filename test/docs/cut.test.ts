/** Answers of the docs, of which a part is left out: what is shown is compared, and what is left out has to be there. */
import t from 'tap';
import { cutAs, differences, type Json, parseCut, print } from '../../docs/cut.js';

const REAL = {
  a: 1,
  list: [
    { id: 'x', ms: 3.5 },
    { id: 'y', ms: 4 },
  ],
  b: { c: 1, d: 'text [with {brackets}', e: true },
  y: 'left out',
  z: [],
};
const SHOWN = `{
  "a": 1,
  "list": [
    {
      "id": "x"
      // …
    }
    // …
  ],
  "b": {
    // …
    "d": "text [with {brackets}"
    // …
  },
  // …
  "z": []
}`;
const compare = (shown: string, real: Json, changing: string[] = []) =>
  differences(parseCut(shown), real, { changing: new Set(changing) });

t.test('what is shown is there', (t) => {
  t.same(compare(SHOWN, REAL), []);
  t.same(compare(JSON.stringify(REAL, null, 2), REAL), [], 'whole');
  t.end();
});

t.test('what is not as shown is said, and where', (t) => {
  t.match(compare(SHOWN, { ...REAL, a: 2 }), [/answer\.a: shown 1, it is 2/]);
  t.match(compare(SHOWN, { ...REAL, list: [{ id: 'q', ms: 1 }, REAL.list[1] as Json] }), [/list\[0\]\.id/]);
  t.match(compare(SHOWN, { ...REAL, list: 'none' }), [/list is no list/]);
  t.match(compare(SHOWN, { ...REAL, b: [] }), [/b is no object/]);
  const { a: _a, ...without } = REAL;
  t.match(compare(SHOWN, without), [/answer\.a is not there/]);
  t.end();
});

t.test('nothing is left out without a mark, and no mark stands for nothing', (t) => {
  t.match(compare('{ "a": 1 }', { a: 1, b: 2 }), [/answer has b as well/]);
  t.match(compare('[1]', [1, 2]), [/2 elements, shown are 1/]);
  t.match(compare('{\n  "a": 1\n  // …\n}', { a: 1 }), [/nothing that is left out/]);
  t.match(compare('[\n  1\n  // …\n]', [1]), [/1 elements, shown are 1/]);
  t.end();
});

t.test('of what changes from run to run the shape is compared', (t) => {
  const shown = '{ "timing": { "ms": 1 }, "id": "x" }';
  t.same(compare(shown, { timing: { ms: 7 }, id: 'x' }, ['timing']), []);
  t.match(compare(shown, { timing: { ms: 'long' }, id: 'x' }, ['timing']), [/timing\.ms/]);
  t.match(compare(shown, { timing: { s: 7 }, id: 'x' }, ['timing']).join(), /timing\.ms is not there/);
  t.match(compare(shown, { timing: { ms: 7 }, id: 'y' }, ['timing']), [/answer\.id/]);
  t.same(differences(parseCut(shown), { timing: { ms: 7 }, id: 'y' }, { changing: new Set(), shapeOnly: true }), []);
  t.end();
});

t.test('an answer is cut as another was, and printed so', (t) => {
  t.equal(print(cutAs(parseCut(SHOWN), REAL)), SHOWN, 'itself');
  const other = { ...REAL, a: 5, list: [{ id: 'p', ms: 0, more: true }, REAL.list[1] as Json], x: 1 };
  t.equal(print(cutAs(parseCut(SHOWN), other)), SHOWN.replace('"a": 1', '"a": 5').replace('"id": "x"', '"id": "p"'));
  t.same(cutAs(parseCut('{ "a": 1 }'), { a: 2, b: 3 }), { a: 2, b: 3 }, 'what was whole stays so');
  t.end();
});

t.test('what fits on a line is on one, and nothing is lost in print', (t) => {
  t.equal(print({ a: [1, { b: 'c' }], d: [], e: {} }), '{ "a": [1, { "b": "c" }], "d": [], "e": {} }');
  const long = { list: Array.from({ length: 120 }, (_, n) => ({ n, text: 'x'.repeat(n) })) };
  const text = print(long);
  t.same(parseCut(text), long);
  const short = text.split('\n').filter((line) => !/"x{80,}/.test(line));
  t.ok(short.every((line) => line.length <= 120));
  t.end();
});
