/** The closed set of things that can go wrong with a request. Knows no HTTP: http/problem.ts maps codes to statuses. */

export const ERROR_CODES = [
  'invalid-budget',
  'invalid-request',
  'too-many-images',
  'unknown-model',
  'unknown-instance',
  'not-found',
  'method-not-allowed',
  'request-timeout',
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
  /** What was wrong with this request. */
  detail: string;
  /** What would have been right. */
  expected: string;
  /** What the caller can do now. */
  action: string;
  /** Seconds after which trying again makes sense; sent as `Retry-After`. */
  retryAfterS?: number;
  /** Further members of the answer, such as the values that would do. */
  members?: Record<string, unknown>;
}

export class DimmerError extends Error {
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;

  /** cause: what happened inside, for the log alone. */
  constructor(code: ErrorCode, facts: ErrorFacts, cause?: unknown) {
    super(facts.detail, cause === undefined ? undefined : { cause });
    this.name = 'DimmerError';
    this.code = code;
    this.facts = facts;
  }

  /** The same error, saying which picture of a request it was (counted from 0). */
  atImage(image: number): DimmerError {
    return new DimmerError(this.code, { ...this.facts, members: { ...this.facts.members, image } }, this.cause);
  }
}

/** The service cannot start: bad configuration, a broken family, a device that is not there. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

/** The message of anything thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
