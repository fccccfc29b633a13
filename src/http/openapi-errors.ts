/** Describes error answers for openapi.yaml. */
import { z } from 'zod';
import type { ErrorCode } from '../errors.js';
import { PROBLEM_MEDIA, PROBLEM_TYPE, PROBLEMS } from './problem.js';
import { problem } from './schemas.js';

export const text = (description: string, example?: string) =>
  z.string().meta({ description, ...(example === undefined ? {} : { example }) });

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
      return [
        status,
        {
          description: here.map((c) => `${c}: ${PROBLEMS[c].title}`).join('; '),
          headers: z.object({ ...requestId, ...retry }),
          content: { [media]: { schema, examples: Object.fromEntries(examples) } },
        },
      ];
    }),
  );
}
