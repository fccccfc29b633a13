/** Refusals of the service, as errors. */
import { retryAfterMs } from './retry.js';
import type { components } from './schema.js';

type Problem = components['schemas']['Problem'];
type CodeOf<Type> = Type extends `urn:dimmer:problem:${infer Code}` ? Code : never;
const TYPE = 'urn:dimmer:problem:';
/** Of an answer that is no problem document, as much as shows what it is: often a page of a proxy. */
const SHOWN = 200;

/** What `code` can be; docs/api.md of the service says when. */
export type ProblemCode = CodeOf<Problem['type']>;

/** An answer that is an error: problem details (RFC 9457), or as much of them as there is. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly status: number;
  /** `about:blank` if the answer names none, as RFC 9457 has it. */
  readonly type: string;
  readonly title: string;
  readonly detail: string;
  /** The end of `type`, for programs; undefined if the answer is not one of dimmer. A newer service may have more. */
  readonly code: ProblemCode | undefined;
  /** Names the request in the service's log. */
  readonly requestId: string | undefined;
  /** ms after which to try again, if the answer says so. */
  readonly retryAfterMs: number | undefined;
  /** All members of the document, such as `expected`, `action`, `nearest`, `models`; empty if there is none. */
  readonly problem: Partial<Problem>;

  /** body: as parsed, or its text. */
  constructor({ status, statusText, headers }: Response, body: unknown) {
    const problem = (typeof body === 'object' && body !== null ? body : {}) as Partial<Problem>;
    const title = text(problem.title) ?? (statusText || 'The request failed');
    const detail = text(problem.detail) ?? text(body)?.slice(0, SHOWN) ?? '';
    super(`${status} ${title}${detail && `: ${detail}`}`);
    this.status = status;
    this.type = text(problem.type) ?? 'about:blank';
    this.title = title;
    this.detail = detail;
    this.code = this.type.startsWith(TYPE) ? (this.type.slice(TYPE.length) as ProblemCode) : undefined;
    this.requestId = headers.get('X-Request-Id') ?? undefined;
    this.retryAfterMs = retryAfterMs(headers, Date.now());
    this.problem = problem;
  }
}

/** The answer may be anybody's. */
const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
