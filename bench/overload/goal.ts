/**
 * The goodput that can be demanded under overload, when the service shares the CPUs with the client and also has to
 * refuse requests. Pure.
 *
 * In the closed loop, C answers a second take S ms of CPU a second in the service and Pc ms in the client, so the host
 * provides S + Pc. Under overload the client takes P ms of CPU a second, and each of R refusals a second takes q ms in
 * the service. So S + Pc - P - R q ms a second remain for answers:
 *
 * A(R) = C (S + Pc - P - R q) / S
 *
 * Of the L requests offered a second, the ones that are not answered have to be refused: R = L - A. Solved for A, that
 * is
 *
 * A* = (C (S + Pc - P) / S - L f) / (1 - f),   f = C q / S
 *
 * The corrected capacity is the larger of A* and A(R as measured), but at most C. With A* alone, a service that refuses
 * fewer requests than L - A* would get too low a goal; with A(R) alone, one that refuses more than necessary would.
 */
export interface CpuUse {
  /** C: throughput in the closed loop, in answers a second. */
  readonly capacityPerS: number;
  /** S, Pc: CPU ms a second of service and client during the closed loop. */
  readonly closed: { readonly serviceMsPerS: number; readonly clientMsPerS: number };
  /** P, L and R, as measured under overload. */
  readonly open: { readonly clientMsPerS: number; readonly offeredPerS: number; readonly refusedPerS: number };
  /** q: CPU ms of the service for one refusal, measured while every request is refused. */
  readonly refusalMs: number;
}

/** The corrected capacity in answers a second, from 0 to `capacityPerS`. */
export function correctedCapacity({ capacityPerS, closed, open, refusalMs }: CpuUse): number {
  const leftMs = closed.serviceMsPerS + closed.clientMsPerS - open.clientMsPerS;
  const answers = (ms: number) => (capacityPerS * ms) / closed.serviceMsPerS;
  const perAnswer = (capacityPerS * refusalMs) / closed.serviceMsPerS;
  const asRefused = answers(leftMs - open.refusedPerS * refusalMs);
  // If a refusal takes as much CPU as an answer, nothing can be gained by refusing.
  const asNeeded = perAnswer < 1 ? (answers(leftMs) - open.offeredPerS * perAnswer) / (1 - perAnswer) : 0;
  return Math.min(capacityPerS, Math.max(0, asRefused, asNeeded));
}
