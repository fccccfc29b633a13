/** Pure: when pictures arrive. The loads are shares of what the first peer answers with the full network on this host. */
import { poisson } from '../../src/load/arrivals.js';
import { type Random, seeded, seedFor } from '../../src/load/random.js';
import { gammaGaps } from '../virtual/traces.js';

export interface Kind {
  readonly name: string;
  /** Arrivals a second on average. */
  readonly perS: number;
  readonly bursty: boolean;
}

/** Every host can be compared at this one. */
const FIXED_PER_S = 250;
/** As in bench/virtual: the mean load of its bursts, and how they cluster. */
const BURSTS = { share: 0.7, cv2: 8 };
const SHARES = [0.5, 1, 2];

const percent = (share: number) => `${100 * share} %`;

/** capacityPerS: pictures a second that are 100 %. */
export function kindsFor(capacityPerS: number): Kind[] {
  return [
    ...SHARES.map((share) => ({ name: `poisson ${percent(share)}`, perS: share * capacityPerS, bursty: false })),
    { name: `poisson ${FIXED_PER_S}/s`, perS: FIXED_PER_S, bursty: false },
    { name: `gamma cv2=${BURSTS.cv2} ${percent(BURSTS.share)}`, perS: BURSTS.share * capacityPerS, bursty: true },
  ];
}

/** In ms from the start. The same seed gives all servers the same arrivals. */
export function arrivalsOf({ name, perS, bursty }: Kind, durationMs: number, seed: number): number[] {
  const random: Random = seeded(seedFor(seed, name));
  return bursty ? gammaGaps(BURSTS.cv2, perS / 1000, durationMs, random) : poisson(perS / 1000, durationMs, random);
}
