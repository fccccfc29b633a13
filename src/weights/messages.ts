/** Messages to and from the thread that builds shared graphs. */
import type { Built, Source } from './build.js';
import type { Weights } from './mode.js';

export interface Order {
  readonly sources: readonly Source[];
  readonly weights: Weights;
  /** An empty folder to build in. */
  readonly folder: string;
  /** One number in shared memory: set to 1 to ask the thread to stop. */
  readonly stop: Int32Array;
}

export type Outcome = ({ readonly type: 'built' } & Built) | { readonly type: 'failed'; readonly message: string };
