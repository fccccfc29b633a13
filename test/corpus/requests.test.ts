/** Unusual and hostile requests as bytes: each gets one complete answer, and leaves the connection in a known state. */
import { METHODS } from 'node:http';
import t, { type Test } from 'tap';
import type { ErrorCode } from '../../src/errors.js';
import { PROBLEMS } from '../../src/http/problem.js';
import { problem as problemSchema } from '../../src/http/schemas.js';
import { picture, readyApp, until } from '../support/app.js';
import { type Answer, converse } from '../support/raw.js';

/** The bytes of a request, from its first line, header lines and body. */
const http = (line: string, headers: readonly string[] = ['Host: x'], body = '') =>
  `${[line, ...headers].join('\r\n')}\r\n\r\n${body}`;
const get = (path: string, ...headers: string[]) => http(`GET ${path} HTTP/1.1`, ['Host: x', ...headers]);
const post = (...headers: string[]) => http('POST /classify HTTP/1.1', ['Host: x', ...headers]);
const host = (value: string) => http('GET /healthz HTTP/1.1', [`Host: ${value}`]);

/** A case: name, bytes, expected problem code or status, and whether the server has to close the connection. */
type Case = readonly [name: string, bytes: string, right: ErrorCode | number, after?: 'closed' | 'open'];

const CASES: readonly Case[] = [
  // RFC 9112, 3: the request line
  ['nothing but letters', 'hello\r\n\r\n', 'invalid-request', 'closed'],
  ['a TLS greeting', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'invalid-request', 'closed'],
  ['an SSH greeting', 'SSH-2.0-OpenSSH_9.2\r\n', 'invalid-request', 'closed'],
  ['zero bytes', '\0\0\0\0', 'invalid-request', 'closed'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'version-not-supported', 'closed'],
  ['HTTP/2.0', http('GET /healthz HTTP/2.0'), 'version-not-supported', 'closed'],
  ['HTTP/3.0', http('GET /healthz HTTP/3.0'), 'version-not-supported', 'closed'],
  ['HTTP/1.2', http('GET /healthz HTTP/1.2'), 'version-not-supported', 'closed'],
  ['HTTP/0.9', http('GET /healthz HTTP/0.9'), 'version-not-supported'],
  ['a version that is none', http('GET /healthz HTTP/x.y'), 'invalid-request', 'closed'],
  ['no version, as in HTTP/0.9', 'GET /healthz\r\nHost: x\r\n\r\n', 'version-not-supported'],
  ['http in small letters', http('GET /healthz http/1.1'), 'invalid-request', 'closed'],
  ['two spaces', http('GET  /healthz HTTP/1.1'), 200],
  ['a tab for a space', http('GET\t/healthz HTTP/1.1'), 'invalid-request', 'closed'],
  ['empty lines before', `\r\n\r\n${get('/healthz')}`, 200, 'open'],
  ['a line that ends in LF alone', 'GET /healthz HTTP/1.1\nHost: x\n\n', 'invalid-request', 'closed'],
  ['HTTP/1.0 without a host', http('GET /healthz HTTP/1.0', []), 200, 'closed'],
  ['HTTP/1.0 that keeps the connection', http('GET /healthz HTTP/1.0', ['Connection: keep-alive']), 200, 'open'],
  // methods
  ['an unknown method', http('FOO /classify HTTP/1.1'), 'not-implemented', 'closed'],
  ['a method in small letters', http('get /healthz HTTP/1.1'), 'not-implemented', 'closed'],
  ['CONNECT', http('CONNECT example.com:443 HTTP/1.1'), 'method-not-allowed', 'closed'],
  ['TRACE of a page', http('TRACE /docs HTTP/1.1'), 'method-not-allowed', 'open'],
  ['PROPFIND of a family', http('PROPFIND /models/tiny HTTP/1.1'), 'method-not-allowed', 'open'],
  ['PROPFIND of nothing', http('PROPFIND /nothing HTTP/1.1'), 'not-found', 'open'],
  ['POST of the script of a page', http('POST /docs/static/swagger-ui.css HTTP/1.1'), 'method-not-allowed', 'open'],
  ['OPTIONS of a page', http('OPTIONS /models HTTP/1.1'), 'method-not-allowed', 'open'],
  ['OPTIONS of the server', http('OPTIONS * HTTP/1.1'), 204, 'open'],
  ['* for another method', http('GET * HTTP/1.1'), 'invalid-request'],
  // targets
  ['an absolute URL', http('GET http://example.com/healthz HTTP/1.1'), 200, 'open'],
  ['an absolute URL without a path', http('GET HTTP://example.com HTTP/1.1'), 200, 'open'],
  ['an absolute URL with a query only', http('GET http://example.com?x=1 HTTP/1.1'), 200, 'open'],
  ['an absolute URL of another scheme', http('GET ftp://example.com/ HTTP/1.1'), 'invalid-request'],
  ['an absolute URL without a host', http('GET http:///healthz HTTP/1.1'), 'invalid-request'],
  ['a host for a target', http('GET example.com:80 HTTP/1.1'), 'invalid-request', 'closed'],
  ['a path without its slash', http('GET healthz HTTP/1.1'), 'invalid-request', 'closed'],
  ['two slashes', get('//healthz'), 'not-found', 'open'],
  ['a backslash', get('/..\\..\\etc/passwd'), 'not-found', 'open'],
  ['a path upwards', get('/../../etc/passwd'), 'not-found', 'open'],
  ['a path upwards in a folder of files', get('/docs/static/../../../package.json'), 'not-found', 'open'],
  ['the same, encoded', get('/docs/static/..%2f..%2f..%2fpackage.json'), 'not-found', 'open'],
  ['% at the end', get('/models/%'), 'invalid-request', 'open'],
  ['% before no digits', get('/%zz'), 'invalid-request', 'open'],
  ['no UTF-8', get('/models/%ff'), 'invalid-request', 'open'],
  ['UTF-8 that is too long', get('/models/%c0%af'), 'invalid-request', 'open'],
  ['a zero byte in a name', get('/models/%00'), 'unknown-model', 'open'],
  ['a line break in a name', get('/models/%0d%0aX:%20y'), 'unknown-model', 'open'],
  ['% in a query', get('/healthz?x=%zz'), 200, 'open'],
  ['a long name of a family', get(`/models/${'a'.repeat(500)}`), 'unknown-model', 'open'],
  ['a long URL', get(`/${'a'.repeat(9000)}`), 'uri-too-long'],
  ['a long query', get(`/healthz?${'a'.repeat(9000)}`), 'uri-too-long'],
  ['a URL that is longer than a head', get(`/${'a'.repeat(40_000)}`), 'uri-too-long', 'closed'],
  ['a space in the path', get('/mod els'), 'invalid-request', 'closed'],
  ['a zero byte in the path', get('/mod\0els'), 'invalid-request', 'closed'],
  // RFC 9112, 3.2: Host
  ['no host', http('GET /healthz HTTP/1.1', []), 'invalid-request'],
  ['an empty host', host(''), 'invalid-request'],
  ['two hosts', http('GET /healthz HTTP/1.1', ['Host: a', 'Host: b']), 'invalid-request'],
  ['the same host twice', http('GET /healthz HTTP/1.1', ['Host: a', 'hOST: a']), 'invalid-request'],
  ['two hosts of HTTP/1.0', http('GET /healthz HTTP/1.0', ['Host: a', 'Host: a']), 'invalid-request'],
  ['a list of hosts', host('a, b'), 'invalid-request'],
  ['a host with a path', host('a/b'), 'invalid-request'],
  ['a host with a user', host('me@a'), 'invalid-request'],
  ['a host with a space', host('a b'), 'invalid-request'],
  ['a port that is none', host('a:http'), 'invalid-request'],
  ['a URL for a host', host('http://a'), 'invalid-request'],
  ['a host with broken brackets', host('[::1'), 'invalid-request'],
  ['a host with a port', host('example.com:8080'), 200, 'open'],
  ['a host with an empty port', host('example.com:'), 200, 'open'],
  ['an address of IPv6', host('[::1]:8080'), 200, 'open'],
  ['an absolute URL without a Host header', http('GET http://a/healthz HTTP/1.1', []), 'invalid-request'],
  // headers
  ['a zero byte in a value', get('/healthz', 'X: a\0b'), 'invalid-request', 'closed'],
  ['a control character in a value', get('/healthz', 'X: a\x01b'), 'invalid-request', 'closed'],
  ['DEL in a value', get('/healthz', 'X: a\x7fb'), 'invalid-request', 'closed'],
  ['a bare CR in a value', get('/healthz', 'X: a\rb'), 'invalid-request', 'closed'],
  ['Latin-1 in a value', get('/healthz', 'X: caf\xe9'), 200, 'open'],
  ['a space before the colon', get('/healthz', 'X : a'), 'invalid-request', 'closed'],
  ['a header without a name', get('/healthz', ': a'), 'invalid-request', 'closed'],
  ['a header without a colon', get('/healthz', 'nonsense'), 'invalid-request', 'closed'],
  ['a folded header', get('/healthz', 'X: a', ' b'), 'invalid-request', 'closed'],
  ['a space before the first header', http('GET /healthz HTTP/1.1', [' Host: x']), 'invalid-request', 'closed'],
  ['a long header', get('/healthz', `X: ${'a'.repeat(20_000)}`), 'headers-too-large', 'closed'],
  [
    'many headers',
    get('/healthz', ...Array.from({ length: 3000 }, (_, i) => `X${i}: a`)),
    'headers-too-large',
    'closed',
  ],
  ['a request id that is none', get('/healthz', 'X-Request-Id: <script>'), 200, 'open'],
  ['two request ids', get('/healthz', 'X-Request-Id: a', 'X-Request-Id: b'), 200, 'open'],
  ['an upgrade to a WebSocket', get('/healthz', 'Connection: Upgrade', 'Upgrade: websocket'), 200, 'closed'],
  [
    'an upgrade to HTTP/2',
    get('/healthz', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: '),
    200,
  ],
  // expectations
  ['an expectation', get('/healthz', 'Expect: x'), 'expectation-failed'],
  ['an expectation of an upload', `${post('Expect: 200-ok', 'Content-Length: 3')}abc`, 'expectation-failed'],
  ['an expectation of HTTP/1.0', http('GET /healthz HTTP/1.0', ['Expect: x']), 200, 'closed'],
  ['100-continue for too much', post('Expect: 100-continue', 'Content-Length: 99999999'), 'image-too-large', 'closed'],
  [
    '100-continue where nothing is',
    http('POST /nothing HTTP/1.1', ['Host: x', 'Expect: 100-continue', 'Content-Length: 9']),
    'not-found',
    'closed',
  ],
  // RFC 9112, 6: the length of the body
  ['a length that is no number', post('Content-Length: x'), 'invalid-request', 'closed'],
  ['a negative length', post('Content-Length: -1'), 'invalid-request', 'closed'],
  ['a length with a sign', `${post('Content-Length: +3')}abc`, 'invalid-request', 'closed'],
  ['a length in hexadecimal digits', post('Content-Length: 0x3'), 'invalid-request', 'closed'],
  ['a fraction of a length', post('Content-Length: 3.0'), 'invalid-request', 'closed'],
  ['an empty length', post('Content-Length:'), 'invalid-request', 'closed'],
  ['a list of lengths', `${post('Content-Length: 3, 3')}abc`, 'invalid-request', 'closed'],
  ['two lengths', `${post('Content-Length: 3', 'Content-Length: 4')}abc`, 'invalid-request', 'closed'],
  ['the same length twice', `${post('Content-Length: 3', 'Content-Length: 3')}abc`, 'invalid-request', 'closed'],
  ['a length beyond 64 bits', post('Content-Length: 99999999999999999999'), 'invalid-request', 'closed'],
  ['a length beyond exact numbers', post('Content-Length: 9007199254740993'), 'image-too-large'],
  [
    'a length and chunks',
    `${post('Content-Length: 3', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    'invalid-request',
    'closed',
  ],
  [
    'chunks and a length',
    `${post('Transfer-Encoding: chunked', 'Content-Length: 3')}0\r\n\r\n`,
    'invalid-request',
    'closed',
  ],
  ['chunks twice', `${post('Transfer-Encoding: chunked, chunked')}0\r\n\r\n`, 'invalid-request', 'closed'],
  ['compressed chunks', `${post('Transfer-Encoding: gzip, chunked')}0\r\n\r\n`, 'not-implemented'],
  ['a coding that is not chunked', post('Transfer-Encoding: gzip'), 'invalid-request', 'closed'],
  ['no coding by name', post('Transfer-Encoding: identity'), 'invalid-request', 'closed'],
  ['a coding with a strange space', `${post('Transfer-Encoding: \x0bchunked')}0\r\n\r\n`, 'invalid-request', 'closed'],
  [
    'chunks in HTTP/1.0',
    http('POST /classify HTTP/1.0', ['Transfer-Encoding: chunked'], '0\r\n\r\n'),
    'invalid-request',
  ],
  ['a chunk without a size', `${post('Transfer-Encoding: chunked')}\r\nabc\r\n`, 'invalid-request', 'closed'],
  ['a chunk with letters for a size', `${post('Transfer-Encoding: chunked')}zz\r\n`, 'invalid-request', 'closed'],
  ['a chunk with a negative size', `${post('Transfer-Encoding: chunked')}-1\r\n`, 'invalid-request', 'closed'],
  [
    'a chunk of a size beyond 64 bits',
    `${post('Transfer-Encoding: chunked')}fffffffffffffffff\r\n`,
    'invalid-request',
    'closed',
  ],
  ['a chunk longer than it says', `${post('Transfer-Encoding: chunked')}1\r\nabc\r\n`, 'invalid-request', 'closed'],
  ['a chunk with LF alone', `${post('Transfer-Encoding: chunked')}1\na\n0\n\n`, 'invalid-request', 'closed'],
  [
    'a chunk with a long extension',
    `${post('Transfer-Encoding: chunked')}1;${'a'.repeat(20_000)}\r\n`,
    'invalid-request',
    'closed',
  ],
  [
    'a good chunk, then nonsense',
    `${post('Transfer-Encoding: chunked')}1\r\na\r\nnonsense\r\n`,
    'invalid-request',
    'closed',
  ],
  ['no body at all', post('Content-Length: 0'), 'unsupported-media', 'open'],
  ['an empty body in chunks', `${post('Transfer-Encoding: chunked')}0\r\n\r\n`, 'unsupported-media', 'open'],
  ['trailers', `${post('Transfer-Encoding: chunked')}1\r\na\r\n0\r\nX: y\r\n\r\n`, 'unsupported-media', 'open'],
  ['a body where none is wanted', `${http('GET /healthz HTTP/1.1', ['Host: x', 'Content-Length: 3'])}abc`, 200, 'open'],
];

t.jobs = 1;

/**
 * Sends a case; asserts that there is one complete answer and that the connection is in the expected state after it.
 */
async function answerTo(t: Test, url: string, [, bytes, right, after]: Case): Promise<Answer> {
  const next = get('/healthz', 'X-Request-Id: the-next-one', 'Connection: close');
  const { answers, rest } = await converse(url, after === 'open' ? [bytes, next] : [bytes], {
    most: after === undefined ? 1 : Number.POSITIVE_INFINITY,
    head: bytes.startsWith('HEAD'),
  });
  const [answer, second] = answers as [Answer, Answer | undefined];
  t.ok(answer, 'there is an answer');
  t.equal(rest, '', 'and nothing that is none');
  if (after === 'open') {
    t.equal(second?.headers['x-request-id'], 'the-next-one', 'the next request has its own answer');
    t.equal(answers.length, 2);
  } else {
    t.equal(answers.length, 1, 'one answer');
    if (after === 'closed') t.equal(answer.headers.connection, 'close');
  }
  t.equal(answer.status, typeof right === 'number' ? right : PROBLEMS[right].status, answer.body);
  t.match(answer.headers['x-request-id'], /^[\w.-]{1,64}$/);
  t.equal(answer.headers['x-content-type-options'], 'nosniff');
  return answer;
}

t.test('requests', async (t) => {
  const { app, url } = await readyApp(t, { MAX_IMAGE_BYTES: '200000' });
  for (const one of CASES) {
    await t.test(one[0], async (t) => {
      const answer = await answerTo(t, url, one);
      const code = one[2];
      if (typeof code === 'number') return;
      t.equal(answer.headers['content-type'], 'application/problem+json');
      const problem = problemSchema.parse(JSON.parse(answer.body));
      t.equal(problem.type, `urn:dimmer:problem:${code}`);
      t.notMatch(answer.body, /Parse Error|HPE_|FST_|node:/, 'no text of a library');
      if (answer.status === 405) t.ok(answer.headers.allow, 'Allow');
      if (answer.status === 503) t.ok(answer.headers['retry-after'], 'Retry-After');
    });
  }
  t.equal(app.state.inFlight.size, 0);
  t.equal(app.state.uploads.heldBytes, 0);
});

t.test('every method that Node reads is refused with 405 where it does not work', async (t) => {
  const { url } = await readyApp(t);
  const paths = [
    '/classify',
    '/models',
    '/models/tiny',
    '/healthz',
    '/readyz',
    '/metrics',
    '/openapi.yaml',
    '/',
    '/docs',
  ];
  for (const path of paths) {
    for (const method of METHODS.filter((m) => !['CONNECT', 'GET', 'HEAD', 'POST'].includes(m))) {
      const { answers } = await converse(url, [http(`${method} ${path} HTTP/1.1`)], { most: 1 });
      if (answers[0]?.status !== 405 || !answers[0].headers.allow) t.fail(`${method} ${path}: ${answers[0]?.status}`);
    }
  }
  t.equal((await converse(url, [http('HEAD /models HTTP/1.1')], { most: 1, head: true })).answers[0]?.status, 200);
});

t.test('100 Continue is said when the body is wanted, and only then', async (t) => {
  const { url } = await readyApp(t);
  const png = await picture();
  const upload = (...more: string[]) => post('Expect: 100-continue', `Content-Length: ${png.length}`, ...more);
  const { answers } = await converse(url, [upload(), png], { most: 2, pauseMs: 20 });
  t.same(
    answers.map((a) => a.status),
    [100, 200],
  );
  const refused = await converse(url, [post('Expect: 100-continue', 'Content-Length: 999999999')]);
  t.same(
    refused.answers.map((a) => a.status),
    [413],
  );
  t.ok(refused.closed, 'what the client sends next may be the body or not, so nothing more is read (RFC 9110, 10.1.1)');
  const old = http('POST /classify HTTP/1.0', ['Expect: 100-continue', `Content-Length: ${png.length}`]);
  t.same(
    (await converse(url, [old, png])).answers.map((a) => a.status),
    [200],
    'HTTP/1.0 knows no 100',
  );
});

t.test('an answer to broken bytes comes after those to the requests before it', async (t) => {
  const { app, url, runtime } = await readyApp(t);
  const png = await picture();
  const good = Buffer.concat([Buffer.from(post(`Content-Length: ${png.length}`)), png]);
  for (const broken of ['nonsense\r\n\r\n', http('CONNECT a:1 HTTP/1.1'), get('/healthz', 'X : a')]) {
    runtime.held = true;
    const pending = converse(url, [good, broken]);
    while (runtime.runs.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    runtime.held = false;
    runtime.runs[0]?.finish();
    const { answers } = await pending;
    t.equal(answers.length, 2);
    t.equal(answers[0]?.status, 200, 'the first is the answer to the picture');
    t.ok([400, 405].includes(answers[1]?.status ?? 0), `${answers[1]?.status}`);
  }
  t.equal(app.state.inFlight.size, 0);
});

t.test('a client that ends its side within a request still gets an answer', async (t) => {
  const { app, url } = await readyApp(t);
  for (const bytes of [
    'GET /healthz HTTP/1.1\r\nHo',
    `${post('Content-Length: 9')}abc`,
    `${post('Transfer-Encoding: chunked')}5\r\na`,
  ]) {
    const { answers, closed } = await converse(url, [bytes], { half: true });
    t.match(answers[0], { status: 400, headers: { 'content-type': 'application/problem+json', 'x-request-id': /./ } });
    t.equal(answers.length, 1);
    t.ok(closed);
  }
  await until(() => app.state.inFlight.size === 0 && app.state.uploads.heldBytes === 0);
});
