/** What crosses the border of the thread that builds. */
import type { Folded, Source } from './build.js';
import type { Weights } from './mode.js';

export interface Order {
  readonly sources: readonly Source[];
  readonly weights: Weights;
  /** Empty. */
  readonly folder: string;
}

export type Outcome =
  | { readonly type: 'built'; readonly folded: Folded }
  | { readonly type: 'failed'; readonly message: string };
