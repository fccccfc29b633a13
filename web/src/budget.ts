/** The scales of the dial for each kind of budget, and the header Inference-Budget that a setting makes. Pure. */
import type { Instance, Model } from './api.ts';
import { flops, ms, percent } from './format.ts';

export const KINDS = ['cost', 'flops', 'latency', 'accuracy'] as const;
export type Kind = (typeof KINDS)[number];

export const KIND_NAMES: Record<Kind, string> = {
  cost: 'Cost',
  flops: 'FLOPs',
  latency: 'Latency',
  accuracy: 'Accuracy',
};

/** Maps the slider's places, whole numbers from 0 to `places`, to values of one kind of budget. */
export interface Scale {
  readonly places: number;
  valueAt(place: number): number;
  /** The nearest place. */
  placeOf(value: number): number;
  text(value: number): string;
  /** Text beside the value that explains it. */
  readonly meaning: string;
  /** Value at the beginning. */
  readonly start: number;
  /** Value of an instance: its cost, FLOPs, latency or accuracy. */
  markOf(instance: Instance): number;
}

/** The served instances of a family. */
export const chosenFrom = (model: Model): Instance[] => model.instances.filter((i) => i.served);
export const fullOf = (model: Model): Instance =>
  (model.instances.find((i) => i.id === 'full') ?? model.instances.at(-1)) as Instance;
/** Predicted ms of a run of one picture on this host. */
export const runMs = (instance: Instance): number => instance.latencyMs['1'] ?? 1;

const round = (value: number, digits: number) => Number(value.toFixed(digits));
const PLACES = 200;
/** The scales begin at this multiple of the cheapest instance, so that the user can also get a refusal. */
const BELOW = 0.6;
/** Ends of the latency scale in ms: below the time of any network, and above what people like to wait. */
const LATENCY = { least: 1, most: 1000 };

function linear(low: number, high: number, rounded: (value: number) => number) {
  return {
    places: PLACES,
    valueAt: (place: number) => rounded(low + ((high - low) * place) / PLACES),
    placeOf: (value: number) => clamp(Math.round((PLACES * (value - low)) / (high - low))),
  };
}

const clamp = (place: number) => Math.min(PLACES, Math.max(0, place));

export function scaleOf(kind: Kind, model: Model): Scale {
  const served = chosenFrom(model);
  const full = fullOf(model);
  const least = Math.min(...served.map((i) => i.share));
  const accuracies = served.map((i) => i.accuracy);
  switch (kind) {
    case 'cost':
      return {
        ...linear(Math.max(0.005, round(BELOW * least, 2)), 1, (v) => round(v, 3)),
        text: (v) => percent(v, 1),
        meaning: 'at most, of what the full network costs',
        start: 0.6,
        markOf: (i) => i.share,
      };
    case 'flops':
      return {
        ...linear(BELOW * least * full.flops, full.flops, Math.ceil),
        text: flops,
        meaning: 'at most, for the picture',
        start: Math.ceil(full.flops / 2),
        markOf: (i) => i.flops,
      };
    case 'latency': {
      const span = Math.log(LATENCY.most / LATENCY.least);
      return {
        places: PLACES,
        valueAt: (place) => Number((LATENCY.least * Math.exp((span * place) / PLACES)).toPrecision(2)),
        placeOf: (value) => clamp(Math.round((PLACES * Math.log(value / LATENCY.least)) / span)),
        text: (v) => `${v} ms`,
        meaning: 'for the whole answer, decoding included',
        start: Math.max(5, Number((4 * runMs(full)).toPrecision(1))),
        markOf: runMs,
      };
    }
    case 'accuracy': {
      const [low, high] = [Math.min(...accuracies), Math.max(...accuracies)];
      const room = Math.max(0.005, 0.15 * (high - low));
      return {
        ...linear(Math.max(0.001, low - room), Math.min(1, high + room), (v) => round(v, 3)),
        text: (v) => percent(v, 1),
        meaning: 'at least, as measured when the family was made',
        start: round((low + high) / 2, 3),
        markOf: (i) => i.accuracy,
      };
    }
  }
}

/** A setting of the dial: the budget that the user asks for. */
export interface Wish {
  readonly kind: Kind;
  readonly values: Readonly<Record<Kind, number>>;
  /** Further kinds that limit the answer. */
  readonly also: readonly Kind[];
  readonly strict: boolean;
}

export function startWish(model: Model): Wish {
  const values = Object.fromEntries(KINDS.map((kind) => [kind, scaleOf(kind, model).start])) as Record<Kind, number>;
  return { kind: 'cost', values, also: [], strict: true };
}

/** The header Inference-Budget of a setting. */
export function headerOf({ kind, values, also, strict }: Wish): string {
  const members = [kind, ...also.filter((k) => k !== kind)].map((k) => `${k}=${values[k]}`);
  return [...members, ...(strict ? [] : ['strict=?0'])].join(', ');
}

/** The limit of this kind in a setting; undefined if it sets none. */
export const bounds = (wish: Wish, kind: Kind): number | undefined =>
  wish.kind === kind || wish.also.includes(kind) ? wish.values[kind] : undefined;

export const timeText = ms;
