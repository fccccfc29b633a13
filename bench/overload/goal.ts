/**
 * Pure: what a service can answer beside refusing, on CPUs that it shares with its client.
 *
 * In the closed loop the service takes S ms of CPU a second for C answers a second, and the client takes Pc: together
 * S + Pc is what the host gave. Under overload the client takes P, and each of R refusals a second takes q ms of the
 * service, so that S + Pc - P - R q is left for answers:
 *
 *   A(R) = C (S + Pc - P - R q) / S
 *
 * More has to be refused than A leaves over of the L requests offered a second. With R = L - A that is
 *
 *   A* = (C (S + Pc - P) / S - L f) / (1 - f),   f = C q / S
 *
 * The corrected capacity is the larger of A* and A(refused as measured), and never more than C: whoever refuses more
 * than it must is not judged by less, and neither is what was not refused.
 */
export interface CpuUse {
  /** C: answers a second in the closed loop. */
  readonly capacityPerS: number;
  /** S, Pc: ms of CPU a second meanwhile. */
  readonly closed: { readonly serviceMsPerS: number; readonly clientMsPerS: number };
  /** P, L, and R as measured. */
  readonly open: { readonly clientMsPerS: number; readonly offeredPerS: number; readonly refusedPerS: number };
  /** q: ms of the service's CPU for a refusal, where all is refused. */
  readonly refusalMs: number;
}

/** Answers a second; from 0 to the capacity. */
export function correctedCapacity({ capacityPerS, closed, open, refusalMs }: CpuUse): number {
  const leftMs = closed.serviceMsPerS + closed.clientMsPerS - open.clientMsPerS;
  const answers = (ms: number) => (capacityPerS * ms) / closed.serviceMsPerS;
  const perAnswer = (capacityPerS * refusalMs) / closed.serviceMsPerS;
  const asRefused = answers(leftMs - open.refusedPerS * refusalMs);
  // Where a refusal costs as much as an answer, refusing frees nothing.
  const asNeeded = perAnswer < 1 ? (answers(leftMs) - open.offeredPerS * perAnswer) / (1 - perAnswer) : 0;
  return Math.min(capacityPerS, Math.max(0, asRefused, asNeeded));
}
