/** All policies that the service is compared with, besides pinning one instance for all requests. */
import { INFAAS, MAX_ACC, MAX_BATCH_FIRST, SLACK_FIT } from './choosing.js';
import type { Contender } from './contender.js';
import { bentoml, clipper, clockwork, greedy, proteus } from './one-instance.js';

/**
 * Policies that batch for a single instance. On each trace they get the fixed instance with the largest utility there.
 */
export const BATCHERS: readonly ((id: string) => Contender)[] = [greedy, clipper, bentoml, proteus, clockwork];

/** Policies that choose an instance for each batch. */
export const CHOOSERS: readonly Contender[] = [INFAAS, MAX_ACC, MAX_BATCH_FIRST, SLACK_FIT];
