/** The table from error codes to HTTP statuses, and the conversion of errors of Node and fastify. */
import t from 'tap';
import { DimmerError, ERROR_CODES, type ErrorCode } from '../../src/errors.js';
import { PROBLEM_MEDIA, PROBLEM_TYPE, PROBLEMS, toDimmerError, toProblem } from '../../src/http/problem.js';
import { logRefusal } from '../../src/http/reports.js';

/** The documented status of each error code, on which clients rely. */
const STATUSES: Record<number, ErrorCode[]> = {
  400: ['invalid-budget', 'invalid-request', 'too-many-images'],
  401: ['unauthorized'],
  404: ['unknown-model', 'unknown-instance', 'not-found'],
  405: ['method-not-allowed'],
  408: ['request-timeout'],
  409: ['refused-model'],
  413: ['image-too-large'],
  414: ['uri-too-long'],
  415: ['unsupported-media'],
  417: ['expectation-failed'],
  422: ['invalid-image', 'infeasible-budget'],
  429: ['quota-exceeded'],
  431: ['headers-too-large'],
  500: ['internal', 'engine-failed'],
  501: ['not-implemented'],
  503: ['overloaded', 'deadline-unattainable', 'not-ready', 'draining'],
  504: ['deadline-exceeded'],
  505: ['version-not-supported'],
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

t.test('another error that is the client’s doing is an invalid request', (t) => {
  for (const statusCode of [400, 402, 413, 499]) {
    const known = toDimmerError(Object.assign(new Error('what was wrong'), { statusCode, code: 'FST_ERR_X' }));
    t.equal(known.code, 'invalid-request', `${statusCode}`);
    t.match(known.facts, { detail: 'what was wrong', expected: '/openapi.yaml', action: 'correct' });
    const others = [{ code: 'ENOENT' }, {}].map((facts) => new Error('/srv/secret', facts as ErrorOptions));
    for (const error of [...others, Object.assign(new Error(''), { code: 'FST_ERR_X' })])
      t.equal(toDimmerError(Object.assign(error, { statusCode })).facts.detail, 'the request cannot be served');
  }
  for (const statusCode of [403, 404]) {
    const error = toDimmerError(Object.assign(new Error('/srv/secret'), { statusCode }));
    t.match(error, { code: 'not-found', facts: { detail: 'there is nothing at this path' } }, `${statusCode}`);
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

t.test('of a name that a client made up the log has a bounded part', (t) => {
  const lines: { detail: string; key?: string }[] = [];
  const take = (facts: object) => lines.push(facts as { detail: string });
  const log = { info: take, warn: take, error: take };
  const of = (name: string) => {
    const error = new DimmerError('unknown-model', { detail: `there is no model ${name}`, expected: '', action: '' });
    logRefusal(log as never, error, error, 'alice');
    return lines.pop();
  };
  t.match(of('x'), { status: 404, reason: 'unknown-model', detail: 'there is no model x', key: 'alice' });
  t.ok((of('x'.repeat(4_000_000))?.detail.length ?? 0) < 2000);
  t.end();
});
