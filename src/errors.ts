/** Errors of requests, as a closed set of codes without HTTP; http/problem.ts maps the codes to statuses. */

export const ERROR_CODES = [
  'invalid-budget',
  'invalid-request',
  'too-many-images',
  'unauthorized',
  'unknown-model',
  'unknown-instance',
  'not-found',
  'method-not-allowed',
  'request-timeout',
  'refused-model',
  'image-too-large',
  'uri-too-long',
  'expectation-failed',
  'headers-too-large',
  'unsupported-media',
  'invalid-image',
  'infeasible-budget',
  'quota-exceeded',
  'internal',
  'engine-failed',
  'not-implemented',
  'overloaded',
  'deadline-unattainable',
  'not-ready',
  'draining',
  'deadline-exceeded',
  'version-not-supported',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ErrorFacts {
  /** Text: what was wrong with this request. */
  detail: string;
  /** Text: what was expected instead. */
  expected: string;
  /** Text: what the client can do now. */
  action: string;
  /** Seconds after which to try again; sent as `Retry-After`. */
  retryAfterS?: number;
  /** Further members of the problem, such as the nearest feasible values of a budget. */
  members?: Record<string, unknown>;
}

/** An error whose facts may be sent to the client. */
export class DimmerError extends Error {
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;

  /** cause: the internal error, for the log only. */
  constructor(code: ErrorCode, facts: ErrorFacts, cause?: unknown) {
    super(facts.detail, cause === undefined ? undefined : { cause });
    this.name = 'DimmerError';
    this.code = code;
    this.facts = facts;
  }

  /** A copy of the error that names the picture of the request, counted from 0. */
  atImage(image: number): DimmerError {
    return new DimmerError(this.code, { ...this.facts, members: { ...this.facts.members, image } }, this.cause);
  }
}

/** The service cannot start: wrong configuration, an invalid family, or a missing device. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

/** The message of a thrown value, which need not be an Error. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
