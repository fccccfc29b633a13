/** Everyone who is compared. */
import type { Instance } from '../../src/family/instance.js';
import { finishMs } from '../../src/policy/admission.js';
import { decide } from '../../src/policy/policy.js';
import { INFAAS, MAX_ACC, MAX_BATCH_FIRST, SLACK_FIT } from './choosing.js';
import type { Contender } from './contender.js';
import { bentoml, clipper, clockwork, fixed, proteus } from './one-instance.js';

export const DIMMER: Contender = {
  name: 'dimmer',
  note: 'The service itself: its policy, and its admission by the best case.',
  create: () => ({
    policy: decide,
    refuses: (picture, load) => picture.strict && finishMs(picture, 1, 0, load) > picture.deadlineMs,
  }),
};

/** Always one instance: SuperServe's baselines, with INFaaS as always the cheapest. */
export const everyFixed = (instances: readonly Instance[]): Contender[] => instances.map((i) => fixed(i.id));

/** Those with one instance and a way of their own to batch; each trace gives them the fixed instance that is best there. */
export const BATCHERS: readonly ((id: string) => Contender)[] = [clipper, bentoml, proteus, clockwork];

export const CHOOSERS: readonly Contender[] = [INFAAS, MAX_ACC, MAX_BATCH_FIRST, SLACK_FIT];
