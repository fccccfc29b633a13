/** The outcome of one request, and how the body of an answer is read. */
import { PROBLEM_TYPE } from '../http/problem.js';

export interface Answer {
  /** HTTP status; 0 if there was no answer. */
  readonly status: number;
  /** From the first byte sent to the last byte received, by the client's clock. */
  readonly latencyMs: number;
  /** From the first byte sent to the head of the answer; missing if there was no answer. */
  readonly headMs?: number;
  /** `ok`; or the code of the problem; or, without an answer, the error of the connection. */
  readonly reason: string;
  readonly instance?: string;
  readonly share?: number;
  readonly met?: boolean;
  /** By the service's clock: from the last byte of the body to the answer. */
  readonly totalMs?: number;
  readonly correct?: boolean;
}

/** The outcome of a request that was to be sent at a scheduled time. */
export interface TimedAnswer extends Answer {
  readonly scheduledMs: number;
  /** Delay of the request against its schedule. */
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

/** Reads an answer. text: its body, for one picture; label: the true class, if known. */
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

/** A proxy between client and service may answer with HTML; that is reported as the problem `not-json`. */
function bodyOf(text: string): Body {
  try {
    return (JSON.parse(text) as Body | null) ?? {};
  } catch {
    return { type: 'not-json' };
  }
}
