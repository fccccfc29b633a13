import t from 'tap';
import { isForm, picturesOfForm } from '../../src/http/form.js';

const LIMITS = { MAX_IMAGES: 3, MAX_IMAGE_BYTES: 100_000 };
const TYPE = 'multipart/form-data; boundary=XbX';
const DISPOSITION = 'Content-Disposition: form-data; name="image"; filename="a.jpg"';

type Part = readonly [headers: string[], body: string | Buffer];
const form = (parts: readonly Part[], { end = '--XbX--\r\n', before = '' } = {}) =>
  Buffer.concat([
    Buffer.from(before),
    ...parts.flatMap(([headers, body]) => [
      Buffer.from(`--XbX\r\n${headers.join('\r\n')}\r\n\r\n`),
      Buffer.from(body),
      Buffer.from('\r\n'),
    ]),
    Buffer.from(end),
  ]);
const read = (body: Buffer, type = TYPE) =>
  picturesOfForm(type, body, LIMITS).map((p) => Buffer.from(p).toString('latin1'));
const image = (body: string | Buffer): Part => [[DISPOSITION, 'Content-Type: image/jpeg'], body];

t.test('a form is recognised by its Content-Type', (t) => {
  for (const type of [TYPE, 'Multipart/Form-Data;boundary=x', 'multipart/form-data']) t.ok(isForm(type), type);
  for (const type of [undefined, '', 'multipart/form-datas', 'multipart/mixed; boundary=x', 'image/jpeg'])
    t.notOk(isForm(type), type ?? 'none');
  t.end();
});

t.test('every part is a picture', (t) => {
  const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i % 256));
  t.same(read(form([image('one'), image(bytes), image('')])), ['one', bytes.toString('latin1'), '']);
  const odd = '\r\n--Xb\r\n--XbY'.replace('XbY', 'Xa');
  t.same(read(form([image(odd)])), [odd], 'what is nearly a boundary is none');
  t.same(read(form([image('a')], { before: 'what comes before\r\n' })), ['a'], 'RFC 2046, 5.1.1');
  t.same(read(form([image('a')], { end: '--XbX--\r\nwhat follows\r\n--XbX\r\nX: y\r\n\r\n' })), ['a']);
  t.same(read(form([image('a')]), 'multipart/form-data; charset=utf-8; boundary="XbX"'), ['a'], 'quoted');
  t.same(read(form([image('a')]), `${TYPE}; `), ['a'], 'an empty parameter');
  t.end();
});

t.test('names of parts in all forms that clients use', (t) => {
  const dispositions = [
    'form-data; name=image',
    'form-data; name="image"',
    'FORM-DATA;name="image";filename=a.jpg',
    'form-data; filename="猫; name=\\"x\\".jpg"; name="image"',
    `form-data; name="image"; filename="a.jpg"; filename*=UTF-8''%E7%8C%AB.jpg`,
    'form-data; name="image"; filename="C:\\photos\\cat.jpg"',
    'form-data; name="image";',
  ];
  for (const d of dispositions) t.same(read(form([[[`Content-Disposition: ${d}`], 'a']])), ['a'], d);
  t.end();
});

t.test('a part that is no picture of the form is named, whatever its size and place', (t) => {
  const wrong: [string, Part[0], RegExp][] = [
    ['no disposition', ['Content-Type: image/jpeg'], /part N of the form has no Content-Disposition: form-data/],
    ['attachment', ['Content-Disposition: attachment; name="image"'], /part N of the form has no Content-Disposition/],
    ['no name', ['Content-Disposition: form-data; filename="a"'], /part N of the form has no name/],
    ['another name', ['Content-Disposition: form-data; name="photo"'], /part N of the form is named "photo"/],
    ['a prototype', ['Content-Disposition: form-data; name="__proto__"'], /part N of the form is named "__proto__"/],
    [
      'LF',
      ['Content-Disposition: form-data; name="image"; filename="a\nb"'],
      /headers of part N of the form cannot be read/,
    ],
    ['NUL', ['Content-Disposition: form-data; name="im\0age"'], /part N/],
    ['no headers', [], /headers of part N of the form cannot be read/],
    ['open quote', ['Content-Disposition: form-data; name="image'], /part N of the form has no Content-Disposition/],
    ['long headers', [DISPOSITION, `X: ${'x'.repeat(20_000)}`], /headers of part N of the form cannot be read/],
    [
      'base64',
      [DISPOSITION, 'Content-Transfer-Encoding: base64'],
      /part N of the form has Content-Transfer-Encoding: base64/,
    ],
    ['gzip', [DISPOSITION, 'Content-Encoding: gzip'], /part N of the form has Content-Encoding: gzip/],
  ];
  for (const [name, headers, expected] of wrong) {
    for (const size of [0, 1000, 17_000, 66_000]) {
      for (const [place, parts] of [
        [1, [[headers, Buffer.alloc(size)], image('a')]],
        [2, [image('a'), [headers, Buffer.alloc(size)]]],
      ] as [number, Part[]][]) {
        const detail = new RegExp(expected.source.replace('part N', `part ${place}`));
        t.throws(() => read(form(parts)), { code: 'invalid-request', facts: { detail } }, `${name}, ${size} bytes`);
      }
    }
  }
  for (const encoding of ['binary', '8bit', '7BIT'])
    t.same(read(form([[[DISPOSITION, `Content-Transfer-Encoding: ${encoding}`], 'a']])), ['a'], encoding);
  t.end();
});

t.test('a body that is not a valid form', (t) => {
  const refused = (body: Buffer | string, detail: RegExp, type = TYPE) =>
    t.throws(() => read(Buffer.from(body), type), { code: 'invalid-request', facts: { detail } }, String(detail));
  refused('', /does not end/);
  refused('x', /does not end/);
  refused(form([image('a')], { end: '' }), /does not end/);
  refused('--XbX--\r\n', /no part named image/);
  refused(form([image('a')]), /boundary/, 'multipart/form-data');
  refused(form([image('a')]), /boundary/, 'multipart/form-data; boundary');
  refused(
    '--XbX\r\nContent-Disposition: form-data; name="image"\r\n--XbX--\r\n',
    /headers of part 1 .* do not end|no part/,
  );
  refused(
    `--XbX\r\n${DISPOSITION}\r\n\r\na\r\n--XbX\r\n${DISPOSITION}\r\n--XbX\r\n${DISPOSITION}\r\n\r\nb\r\n--XbX--\r\n`,
    /headers of part 2 of the form/,
  );
  t.end();
});

t.test('too many, too large', (t) => {
  t.throws(() => read(form([1, 2, 3, 4].map(() => image('a')))), { code: 'too-many-images', facts: { expected: /3/ } });
  t.throws(() => read(form([image('a'), image(Buffer.alloc(100_001))])), {
    code: 'image-too-large',
    facts: { members: { image: 1 }, expected: /100000/ },
  });
  t.end();
});

t.test('whatever the bytes, a form is read or refused', (t) => {
  const good = form([image('one'), image(Buffer.alloc(300, 13)), [[DISPOSITION], 'two']]);
  const outcomes = new Set<string>();
  for (let at = 0; at < good.length; at++) {
    for (const change of [
      good.subarray(0, at),
      Buffer.concat([good.subarray(0, at), good.subarray(at + 1)]),
      Buffer.concat([good.subarray(0, at), Buffer.from([10]), good.subarray(at)]),
    ]) {
      try {
        outcomes.add(`${read(change).length}`);
      } catch (error) {
        outcomes.add(String((error as { code?: string }).code ?? error));
      }
    }
  }
  t.same(
    [...outcomes].sort().filter((o) => !/^\d$/.test(o)),
    ['invalid-request'],
  );
  t.ok(outcomes.has('3'));
  t.end();
});
