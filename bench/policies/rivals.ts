/** Everyone who is compared, besides ours and requests that pin one instance. */
import { INFAAS, MAX_ACC, MAX_BATCH_FIRST, SLACK_FIT } from './choosing.js';
import type { Contender } from './contender.js';
import { bentoml, clipper, clockwork, greedy, proteus } from './one-instance.js';

/** Those with one instance and a way of their own to batch; each trace gives them the fixed instance that is best there. */
export const BATCHERS: readonly ((id: string) => Contender)[] = [greedy, clipper, bentoml, proteus, clockwork];

export const CHOOSERS: readonly Contender[] = [INFAAS, MAX_ACC, MAX_BATCH_FIRST, SLACK_FIT];
