/** Plain numbers fit both, but one does not fit where the other is asked for: wall and CPU time are not mixed by accident. */

/** ms of wall time. */
export type WallMs = number & { readonly unit?: 'ms of wall time' };
/** ms of one CPU. */
export type CpuMs = number & { readonly unit?: 'ms of one CPU' };
