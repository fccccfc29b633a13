/** The dial: which values it has for a family, and the header that it makes. Pure. */
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

/** A slider has whole places from 0 to `places`. */
export interface Scale {
  readonly places: number;
  valueAt(place: number): number;
  /** The nearest; exact places are not needed. */
  placeOf(value: number): number;
  text(value: number): string;
  /** What the value is of. */
  readonly meaning: string;
  readonly start: number;
  /** Where each instance lies on it. */
  markOf(instance: Instance): number;
}

export const chosenFrom = (model: Model): Instance[] => model.instances.filter((i) => i.served);
export const fullOf = (model: Model): Instance =>
  (model.instances.find((i) => i.p === 0 && i.precision === 'float32') ?? model.instances.at(-1)) as Instance;
export const runMs = (instance: Instance): number => instance.latencyMs['1'] ?? 1;

const round = (value: number, digits: number) => Number(value.toFixed(digits));
const PLACES = 200;
/** Below the cheapest instance by so much, to show what a refusal is like. */
const BELOW = 0.6;
/** Latencies that the dial has, in ms: less than any network takes, and more than people wait gladly. */
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

export interface Wish {
  readonly kind: Kind;
  readonly values: Readonly<Record<Kind, number>>;
  /** What else bounds the answer. */
  readonly also: readonly Kind[];
  readonly strict: boolean;
}

export function startWish(model: Model): Wish {
  const values = Object.fromEntries(KINDS.map((kind) => [kind, scaleOf(kind, model).start])) as Record<Kind, number>;
  return { kind: 'cost', values, also: [], strict: true };
}

/** Text of the header Inference-Budget. */
export function headerOf({ kind, values, also, strict }: Wish): string {
  const members = [kind, ...also.filter((k) => k !== kind)].map((k) => `${k}=${values[k]}`);
  return [...members, ...(strict ? [] : ['strict=?0'])].join(', ');
}

export const bounds = (wish: Wish, kind: Kind): number | undefined =>
  wish.kind === kind || wish.also.includes(kind) ? wish.values[kind] : undefined;

export const timeText = ms;
