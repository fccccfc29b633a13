/**
 * Types for wall time and CPU time. A plain number can be assigned to either, but one cannot be assigned to the other,
 * so that they are not mixed up.
 */

/** ms of wall time. */
export type WallMs = number & { readonly unit?: 'ms of wall time' };
/** ms of CPU time: 1 is one CPU busy for 1 ms. */
export type CpuMs = number & { readonly unit?: 'ms of one CPU' };
