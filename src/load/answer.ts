/** What came of one request, and how its body is read. */
import { PROBLEM_TYPE } from '../http/problem.js';

export interface Answer {
  /** HTTP; 0 if none came. */
  readonly status: number;
  /** From the first byte sent to the last received, by the client's clock. */
  readonly latencyMs: number;
  /** From the same to the answer's head; missing if none came. */
  readonly headMs?: number;
  /** `ok`, the code of the problem, or what went wrong where no answer came. */
  readonly reason: string;
  readonly instance?: string;
  readonly share?: number;
  readonly met?: boolean;
  /** The service's clock: from the last body byte to the answer. */
  readonly totalMs?: number;
  readonly correct?: boolean;
}

/** An answer to a request that had its time to be sent. */
export interface TimedAnswer extends Answer {
  readonly scheduledMs: number;
  /** How much later than scheduled it was sent. */
  readonly lagMs: number;
}

/** The parts of an answer's JSON that are read here; see src/http/schemas.ts. */
interface Body {
  type?: string;
  budget?: { met: boolean };
  results?: {
    predictions: { index: number }[];
    model_instance: { id: string };
    cost: { share: number };
    timing: { totalMs: number };
  }[];
}

/** text: the body of an answer to one picture; label: the true one. */
export function read(text: string, label: number | undefined): Omit<Answer, 'status' | 'latencyMs'> {
  const { type, budget, results } = bodyOf(text);
  const result = results?.[0];
  if (!result || !budget) return { reason: String(type ?? 'unknown').replace(PROBLEM_TYPE, '') };
  return {
    reason: 'ok',
    instance: result.model_instance.id,
    share: result.cost.share,
    met: budget.met,
    totalMs: result.timing.totalMs,
    correct: result.predictions[0]?.index === label,
  };
}

/** Between a client and the service may be a proxy, whose errors are pages for people. */
function bodyOf(text: string): Body {
  try {
    return (JSON.parse(text) as Body | null) ?? {};
  } catch {
    return { type: 'not-json' };
  }
}
