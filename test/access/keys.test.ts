import { createHash } from 'node:crypto';
import t from 'tap';
import { KeyRing, keysOfSetting, parseKeys, presentedKeys } from '../../src/access/keys.js';

const sha256 = (key: string) => createHash('sha256').update(key).digest('hex');
const [ONE, TWO] = ['key-one-0123456789', 'key-two-0123456789'];

t.test('a line for each key; comments, empty lines, and ends of lines as editors write them', (t) => {
  const text = `\uFEFF# our customers\r\n\r\n  alice:${sha256(ONE)}  \r\n#bob:${sha256('x')}\nbob.ltd : ${sha256(TWO).toUpperCase()}`;
  const keys = parseKeys(text);
  t.same(
    keys.map(({ name, digest }) => [name, digest.toString('hex')]),
    [
      ['alice', sha256(ONE)],
      ['bob.ltd', sha256(TWO)],
    ],
  );
  t.end();
});

t.test('a list that cannot be used: which line, and never what is in it', (t) => {
  const good = `alice:${sha256(ONE)}`;
  const cases: [string, RegExp][] = [
    ['', /holds no key/],
    ['# nothing\n\n', /holds no key/],
    [`${good}\nbob`, /^line 2: .*SHA-256/],
    [`${good}\n${TWO}`, /^line 2: /],
    [`\n\nbob:${TWO}`, /^line 3: .*not the key itself/],
    [`bob:${sha256(TWO).slice(1)}`, /^line 1: .*64/],
    [`bob:${sha256(TWO)}0`, /^line 1: /],
    [`bob:${sha256(TWO)}:5`, /^line 1: expected name:sha256/],
    [`:${sha256(TWO)}`, /^line 1: expected name/],
    [`bob smith:${sha256(TWO)}`, /^line 1: expected name/],
    [`${'b'.repeat(65)}:${sha256(TWO)}`, /^line 1: expected name/],
    [`bob:${sha256('')}`, /^line 1: .*nothing/],
    [`${good}\nbob:${sha256(ONE).toUpperCase()}`, /^line 2: .*already/],
  ];
  for (const [text, message] of cases) {
    t.throws(() => parseKeys(text), { message }, JSON.stringify(text.slice(0, 30)));
    try {
      parseKeys(text);
    } catch (error) {
      t.notMatch(String(error), TWO, 'somebody may have written a key where its digest belongs');
    }
  }
  t.end();
});

t.test('a known key has a name, whatever else there is', (t) => {
  const ring = new KeyRing([
    ...parseKeys(`alice:${sha256(ONE)}\nalice:${sha256(TWO)}`),
    ...keysOfSetting([TWO, 'ключ-0123456789']),
  ]);
  t.equal(ring.nameOf(ONE), 'alice');
  t.equal(ring.nameOf(TWO), 'alice', 'several keys of one owner, and the name in the file counts');
  t.same(ring.names, ['alice', 'API_KEYS[2]']);
  t.equal(ring.size, 3);
  t.equal(ring.nameOf(Buffer.from('ключ-0123456789').toString('latin1')), 'API_KEYS[2]', 'as Node reads a header');
  for (const wrong of ['', ' ', sha256(ONE), ONE.slice(1), ONE.toUpperCase(), `${ONE} `, `${ONE}, ${TWO}`]) {
    t.equal(ring.nameOf(wrong), undefined, JSON.stringify(wrong));
  }
  t.equal(new KeyRing([]).nameOf(ONE), undefined);
  t.end();
});

t.test('where a client puts its key', (t) => {
  const of = (headers: Record<string, string>) => presentedKeys((name) => headers[name]);
  t.same(of({}), []);
  t.same(of({ 'x-api-key': ONE }), [ONE]);
  for (const authorization of [`Bearer ${ONE}`, `bearer ${ONE}`, `BEARER   ${ONE} `])
    t.same(of({ authorization }), [ONE]);
  t.same(of({ authorization: `Bearer ${TWO}`, 'x-api-key': ONE }), [ONE, TWO], 'a proxy may have one of its own');
  for (const authorization of ['', 'Bearer', 'Bearer ', `Basic ${ONE}`, `Bearer ${ONE} ${TWO}`, ONE]) {
    t.same(of({ authorization, 'x-api-key': '' }), [], authorization);
  }
  t.end();
});
