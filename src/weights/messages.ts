/** What crosses the border of the thread that builds. */
import type { Built, Source } from './build.js';
import type { Weights } from './mode.js';

export interface Order {
  readonly sources: readonly Source[];
  readonly weights: Weights;
  /** Empty. */
  readonly folder: string;
}

export type Outcome = ({ readonly type: 'built' } & Built) | { readonly type: 'failed'; readonly message: string };
