/** Describes error answers for openapi.yaml. */
import { z } from 'zod';
import type { ErrorCode } from '../errors.js';
import { PROBLEM_MEDIA, PROBLEM_TYPE, PROBLEMS } from './problem.js';
import { problem } from './schemas.js';

export const text = (description: string, example?: string) =>
  z.string().meta({ description, ...(example === undefined ? {} : { example }) });

/** Headers where the service has quotas. */
export const quotas = {
  'RateLimit-Policy': text(
    'Quotas of this client: how many requests or FLOPs (q) in how many seconds (w); draft-ietf-httpapi-ratelimit-headers-10',
    '"requests";q=600;w=60, "flops";q=500000000000;qu="flops";w=60',
  ).optional(),
  RateLimit: text(
    'What is left of them (r), and the seconds until there is more (t)',
    '"requests";r=599;t=1, "flops";r=412000000000;t=1',
  ).optional(),
};
export const requestId = { 'X-Request-Id': text('Names this request in the log') };

/** How an error is sent: its media type, its schema, and an example for a code. */
interface ErrorShape {
  readonly media: string;
  readonly schema: z.ZodType;
  readonly example: (code: ErrorCode) => object;
}

const WORDS = { detail: 'what was wrong', expected: 'what would be right', action: 'what to do' };

const PROBLEM: ErrorShape = {
  media: PROBLEM_MEDIA,
  schema: problem,
  example: (code) => ({
    type: `${PROBLEM_TYPE}${code}`,
    title: PROBLEMS[code].title,
    status: PROBLEMS[code].status,
    ...WORDS,
  }),
};

/** OpenAPI responses for error codes: one response for each status, with an example for each code. */
export function problems(codes: readonly ErrorCode[], { media, schema, example }: ErrorShape = PROBLEM) {
  const statuses = [...new Set(codes.map((c) => PROBLEMS[c].status))];
  return Object.fromEntries(
    statuses.map((status) => {
      const here = codes.filter((c) => PROBLEMS[c].status === status);
      const examples = here.map((code) => [code, { summary: PROBLEMS[code].title, value: example(code) }]);
      const retry =
        status === 503 || status === 429 ? { 'Retry-After': text('Seconds after which to try again', '1') } : {};
      const challenge =
        status === 401 ? { 'WWW-Authenticate': text('How to send a key', 'Bearer realm="dimmer"') } : {};
      return [
        status,
        {
          description: here.map((c) => `${c}: ${PROBLEMS[c].title}`).join('; '),
          headers: z.object({ ...requestId, ...retry, ...challenge, ...(status === 429 && quotas) }),
          content: { [media]: { schema, examples: Object.fromEntries(examples) } },
        },
      ];
    }),
  );
}
