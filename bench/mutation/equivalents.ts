/** Changes that survive because they change nothing, each with the reason. */
import type { Equivalent } from './summary.js';

export const EQUIVALENTS: readonly Equivalent[] = [];
