import t from 'tap';
import { Dimmer, type ProblemCode, ProblemError } from '../../../clients/typescript/src/index.js';
import { DimmerError, ERROR_CODES, type ErrorCode } from '../../../src/errors.js';
import { toProblem } from '../../../src/http/problem.js';
import { picture, readyApp } from '../../support/app.js';

/** The codes of the client are those of the service: else this is no valid assignment. */
const known: readonly ProblemCode[] = ERROR_CODES;
const served: readonly ErrorCode[] = known;

/** What a call makes of an answer. */
async function errorOf(body: string | null, init: ResponseInit): Promise<ProblemError> {
  const dimmer = new Dimmer('http://localhost', { fetch: async () => new Response(body, init), retry: { tries: 1 } });
  const error = await dimmer.models().catch((e) => e);
  if (!(error instanceof ProblemError)) throw error;
  return error;
}

t.test('every problem of the service is an error with its members', async (t) => {
  for (const code of served) {
    const facts = { detail: 'what was wrong', expected: 'what would be right', action: 'what to do' };
    const problem = toProblem(new DimmerError(code, { ...facts, members: { nearest: { cost: 0.3 } } }));
    const error = await errorOf(JSON.stringify(problem), {
      status: problem.status,
      headers: { 'Content-Type': 'application/problem+json', 'X-Request-Id': 'mine', 'Retry-After': '7' },
    });
    const { type, title, detail, status } = problem;
    t.match(error, { name: 'ProblemError', code, type, title, detail, status, requestId: 'mine', retryAfterMs: 7000 });
    t.same(error.problem, problem);
    t.equal(error.message, `${status} ${title}: ${detail}`);
  }
});

t.test('an answer that is no problem document is an error all the same', async (t) => {
  const page = await errorOf(`<html>${'x'.repeat(1000)}`, { status: 502, statusText: 'Bad Gateway' });
  t.match(page, { status: 502, type: 'about:blank', title: 'Bad Gateway', code: undefined, retryAfterMs: undefined });
  t.equal(page.detail.length, 200, 'the beginning of it');
  t.same(page.problem, {});
  t.match(await errorOf('', { status: 500 }), { title: 'The request failed', message: '500 The request failed' });
  t.match(await errorOf(null, { status: 503, headers: { 'Content-Length': '0' } }), { status: 503, detail: '' });
  t.match(await errorOf('null', { status: 500 }), { status: 500, problem: {} });
  t.match(await errorOf('[]', { status: 500 }), { status: 500, type: 'about:blank' });
  t.match(await errorOf('{"title":"Not here"}', { status: 404 }), { title: 'Not here', detail: '', code: undefined });
});

t.test('members of another type than they should have are not believed', async (t) => {
  const error = await errorOf('{"type":5,"title":{},"detail":[]}', { status: 500, statusText: 'Oops' });
  t.match(error, { type: 'about:blank', title: 'Oops', detail: '', code: undefined });
});

t.test('a refusal of the service says what can be had', async (t) => {
  const { url } = await readyApp(t);
  const dimmer = new Dimmer(url);
  const png = await picture();
  const infeasible = await dimmer.classify(png, { budget: { cost: 0.01 } }).catch((e) => e);
  t.ok(infeasible instanceof ProblemError);
  t.match(infeasible, { status: 422, code: 'infeasible-budget', problem: { nearest: { cost: Number } } });
  t.ok(infeasible.requestId);
  const { cost } = infeasible.problem.nearest as { cost: number };
  t.equal((await dimmer.classify(png, { budget: { cost } })).budget.met, true, 'and that can be had');
  await t.rejects(dimmer.model('none'), { code: 'unknown-model', problem: { models: ['tiny'] } });
  await t.rejects(dimmer.classify([]), { code: 'invalid-request' }, 'no picture at all');
  await t.rejects(dimmer.classify([png, Buffer.from('text')]), { code: 'unsupported-media', problem: { image: 1 } });
});

t.test('a quota that is used up is thrown at once, with the time to wait', async (t) => {
  const { url } = await readyApp(t, { QUOTA_PER_MINUTE: '1', API_KEYS: 'a-key-of-sixteen-c' });
  const png = await picture();
  await new Dimmer(url).classify(png);
  await t.rejects(new Dimmer(url, { retry: { maxWaitMs: 0 } }).classify(png), {
    code: 'quota-exceeded',
    retryAfterMs: Number,
  });
  const withKey = new Dimmer(url, { apiKey: 'a-key-of-sixteen-c', retry: { tries: 1 } });
  t.equal((await withKey.classify(png)).model, 'tiny', 'the key has a quota of its own');
});
