/** Wall time and CPU time are different types: a promise is kept in one, capacity is shared in the other. */
export type WallMs = number & { readonly unit?: 'ms of wall time' };
export type CpuMs = number & { readonly unit?: 'ms of one CPU' };
