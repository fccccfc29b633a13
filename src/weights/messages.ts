/** What crosses the border of the thread that builds. */
import type { Built, Source } from './build.js';
import type { Weights } from './mode.js';

export interface Order {
  readonly sources: readonly Source[];
  readonly weights: Weights;
  /** Empty. */
  readonly folder: string;
  /** One number, shared between threads: not 0 once nobody waits for the graphs any more. */
  readonly stop: Int32Array;
}

export type Outcome = ({ readonly type: 'built' } & Built) | { readonly type: 'failed'; readonly message: string };
