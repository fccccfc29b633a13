/** The table from codes to statuses, and what is made of other people's errors. */
import t from 'tap';
import { DimmerError, ERROR_CODES, type ErrorCode } from '../../src/errors.js';
import { PROBLEM_MEDIA, PROBLEM_TYPE, PROBLEMS, toDimmerError, toProblem } from '../../src/http/problem.js';

/** The contract, which clients branch on. */
const STATUSES: Record<number, ErrorCode[]> = {
  400: ['invalid-budget', 'invalid-request', 'too-many-images'],
  404: ['unknown-model', 'unknown-instance', 'not-found'],
  405: ['method-not-allowed'],
  408: ['request-timeout'],
  413: ['image-too-large'],
  415: ['unsupported-media'],
  422: ['invalid-image', 'infeasible-budget'],
  429: ['quota-exceeded'],
  431: ['headers-too-large'],
  500: ['internal', 'engine-failed'],
  503: ['overloaded', 'deadline-unattainable', 'not-ready', 'draining'],
  504: ['deadline-exceeded'],
};

t.test('every code has the status of the contract and a title of its own', (t) => {
  const expected = Object.entries(STATUSES).flatMap(([status, codes]) => codes.map((code) => [code, Number(status)]));
  const actual = Object.entries(PROBLEMS).map(([code, { status }]) => [code, status]);
  t.same(Object.fromEntries(actual), Object.fromEntries(expected));
  t.same(Object.keys(PROBLEMS).sort(), [...ERROR_CODES].sort(), 'no code without a row, no row without a code');
  const titles = Object.values(PROBLEMS).map((p) => p.title);
  t.ok(titles.every(Boolean));
  t.equal(new Set(titles).size, titles.length);
  t.end();
});

t.test('a problem is what RFC 9457 names, what to do, and the members of its kind', (t) => {
  const facts = { detail: 'd', expected: 'e', action: 'a' };
  t.equal(PROBLEM_TYPE, 'urn:dimmer:problem:');
  t.equal(PROBLEM_MEDIA, 'application/problem+json');
  const { title } = PROBLEMS['infeasible-budget'];
  const common = { type: 'urn:dimmer:problem:infeasible-budget', title, status: 422, ...facts };
  t.strictSame(toProblem(new DimmerError('infeasible-budget', facts)), common);
  t.strictSame(
    toProblem(new DimmerError('infeasible-budget', { ...facts, retryAfterS: 3, members: { nearest: { cost: 0.5 } } })),
    { ...common, nearest: { cost: 0.5 } },
    'Retry-After is a header, no member',
  );
  t.end();
});

t.test('what the framework refuses is told as our own, with its limit', (t) => {
  const cases: [string, ErrorCode, string][] = [
    ['FST_ERR_CTP_BODY_TOO_LARGE', 'image-too-large', 'MAX_IMAGE_BYTES'],
    ['FST_REQ_FILE_TOO_LARGE', 'image-too-large', 'MAX_IMAGE_BYTES'],
    ['FST_FILES_LIMIT', 'too-many-images', 'MAX_IMAGES'],
    ['FST_PARTS_LIMIT', 'too-many-images', 'MAX_IMAGES'],
  ];
  for (const [code, expected, limit] of cases) {
    const error = toDimmerError(Object.assign(new Error('the text of the framework'), { code, statusCode: 413 }));
    t.equal(error.code, expected, code);
    t.match(error.facts, { detail: 'the text of the framework', expected: limit });
    t.match(error.facts.action, /^send /, 'says what to do');
  }
  t.end();
});

t.test('another error that is the client’s doing is an invalid request', (t) => {
  for (const statusCode of [400, 404, 499]) {
    const error = toDimmerError(Object.assign(new Error('what was wrong'), { statusCode }));
    t.equal(error.code, 'invalid-request', `${statusCode}`);
    t.match(error.facts, { detail: 'what was wrong', expected: '/openapi.yaml', action: 'correct' });
  }
  t.end();
});

t.test('anything else is internal, and its text is kept from the client', (t) => {
  const secret = 'ENOENT: /srv/models/weights.bin';
  const thrown: unknown[] = [
    new Error(secret),
    ...[399, 500, 503].map((statusCode) => Object.assign(new Error(secret), { statusCode })),
    Object.assign(new Error(secret), { code: 'ENOENT' }),
    secret,
    undefined,
    null,
    7,
  ];
  for (const value of thrown) {
    const error = toDimmerError(value);
    t.equal(error.code, 'internal', String(value));
    t.notMatch(JSON.stringify(toProblem(error)), 'weights');
    t.match(error.facts, { detail: 'request id', expected: 'an answer', action: 'X-Request-Id' });
  }
  t.end();
});

t.test('our own errors are left as they are', (t) => {
  const error = new DimmerError('draining', { detail: 'd', expected: 'e', action: 'a' });
  t.equal(toDimmerError(error), error);
  t.same(error.atImage(2).facts.members, { image: 2 });
  t.end();
});
