/**
 * How long a decode and a run take on this host. Total: it answers every question, from the first moment and after any
 * silence, with finite numbers above 0; no question, no recorded value and no clock makes it throw.
 *
 * Of each stage, decoding and running: a baseline that was fitted at start, a + b n, times one factor for all of the stage,
 * which recent runs show (stage.ts). One factor, as what slows runs down is the load of the host, which they share; so
 * figures of instances keep their order, and one that did not run lately is as slow as the others.
 */
import { getOrInsert } from '../get-or-insert.js';
import { type Baselines, NOTHING_MEASURED, type PictureKind } from './baselines.js';
import { LEAST_MS, type Line } from './line.js';
import { type Factors, Stage } from './stage.js';
import type { CpuMs, WallMs } from './units.js';

export type { PictureKind } from './baselines.js';

export interface Times {
  /** Of many runs, as they go lately. */
  readonly meanMs: WallMs;
  /** Hardly exceeded lately (0.95 quantile): a promise rests on it. At least the mean. */
  readonly highMs: WallMs;
  /** Hardly exceeded on an idle host, as measured at start, whatever the load is now. */
  readonly idleMs: WallMs;
  /** What it takes of one CPU; of a run on several ONNX threads, as if all were busy throughout. */
  readonly cpuMs: CpuMs;
}

/** What is asked of the model, and told to it. */
export type Latency = Pick<LatencyModel, 'run' | 'decode' | 'ran' | 'decoded'>;

/** The longest latency that a budget can name: what is longer is as good as never. */
const MOST_MS = 3_600_000;
/** Sizes up to the largest batch that runs are kept ready; others are computed when asked for. */
const MOST_KEPT = 8;
/** No batch and no picture has more: larger ones are not told apart, so that no product becomes infinite. */
const MOST_SIZE = 1e6;
const MOST_MEGAPIXELS = 1e6;
/** ms while nothing was measured: of a network of middling size, and of a decode. Any run corrects it. */
const UNKNOWN_RUN: Line = { aMs: 0, bMs: 10 };
const UNKNOWN_DECODE_MS = 1;
const UNKNOWN_MEGAPIXEL_MS = 20;
const withinBounds = (ms: number): number => Math.min(MOST_MS, Math.max(LEAST_MS, ms));
/** undefined for what is no time. */
const sensible = (ms: number): number | undefined => (Number.isNaN(ms) ? undefined : withinBounds(ms));
const sizeOf = (size: number): number => Math.min(MOST_SIZE, Math.max(1, size || 1));
const megapixelsOf = (megapixels: number): number => Math.min(MOST_MEGAPIXELS, Math.max(0, megapixels || 0));
const part = (ms: number): number => (Number.isFinite(ms) ? Math.min(MOST_MS, Math.max(0, ms)) : 0);
const average = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** One instance. */
class Row {
  readonly line: Line;
  readonly #times: Times[] = [];
  #version = -1;

  constructor({ aMs, bMs }: Line) {
    const [a, b] = [part(aMs), part(bMs)];
    this.line = a + b > 0 ? { aMs: a, bMs: b } : { aMs: LEAST_MS, bMs: 0 };
  }

  /** As measured. */
  at(size: number): number {
    return this.line.aMs + this.line.bMs * size;
  }

  /** What was kept of this size and still holds. */
  known(size: number, version: number): Times | undefined {
    return this.#version === version ? this.#times[size] : undefined;
  }

  keep(size: number, version: number, times: Times): void {
    if (!Number.isInteger(size) || size > MOST_KEPT) return;
    if (this.#version !== version) this.#times.length = 0;
    this.#version = version;
    this.#times[size] = times;
  }
}

export class LatencyModel {
  /** What it goes by, to be kept. */
  readonly baselines: Baselines;
  readonly #runs: Stage;
  readonly #decodes: Stage;
  readonly #rows: Map<string, Row>;
  /** For instances that nobody measured. */
  readonly #others: Row;
  readonly #cpusOfRun: number;
  readonly #idleRun: number;
  readonly #idleDecode: number;
  readonly #otherFamilyMs: number;
  readonly #otherKindMs: number;

  private constructor(baselines: Baselines, now: () => number) {
    this.baselines = baselines;
    this.#runs = new Stage(baselines.runSpread, now);
    this.#decodes = new Stage(baselines.decodeSpread, now);
    this.#rows = new Map(Object.entries(baselines.runs).map(([key, line]) => [key, new Row(line)]));
    const lines = [...this.#rows.values()].map((row) => row.line);
    this.#others = new Row(
      lines.length ? { aMs: average(lines.map((l) => l.aMs)), bMs: average(lines.map((l) => l.bMs)) } : UNKNOWN_RUN,
    );
    this.#cpusOfRun = Math.max(1, part(baselines.onnxThreads));
    this.#idleRun = this.#runs.atStart.high;
    this.#idleDecode = this.#decodes.atStart.high;
    // What is unknown may be the dearest: a picture that is done sooner breaks no promise.
    const [families, kinds] = [Object.values(baselines.families), Object.values(baselines.kinds)];
    this.#otherFamilyMs = families.length ? part(Math.max(...families)) : UNKNOWN_DECODE_MS;
    this.#otherKindMs = kinds.length ? part(Math.max(...kinds)) : UNKNOWN_MEGAPIXEL_MS;
  }

  /** now: ms of a monotonic clock. */
  static from(baselines: Baselines, now: () => number): LatencyModel {
    return new LatencyModel(baselines, now);
  }

  /** Before anything was measured. */
  static unmeasured(now: () => number): LatencyModel {
    return new LatencyModel(NOTHING_MEASURED, now);
  }

  /** key: of an instance. size: of the batch. */
  run(key: string, size: number): Times {
    const row = this.#rows.get(key) ?? this.#others;
    const n = sizeOf(size);
    const { factors, version } = this.#runs;
    const known = row.known(n, version);
    if (known) return known;
    const times = timesOf(row.at(n) * this.#runs.correction(key), factors, this.#idleRun, this.#cpusOfRun);
    row.keep(n, version, times);
    return times;
  }

  decode(family: string, kind: PictureKind, megapixels: number): Times {
    const [base, pixels] = this.#decodeParts(family, kind, megapixels);
    const ms = base * this.#decodes.correction(family) + pixels * this.#decodes.correction(kind);
    return timesOf(ms, this.#decodes.factors, this.#idleDecode, 1);
  }

  /** A run that served. */
  ran(key: string, size: number, wallMs: number): void {
    const ms = sensible(wallMs);
    if (ms === undefined || !(size >= 1)) return;
    const row = getOrInsert(this.#rows, key, () => new Row(this.#others.line));
    const measuredMs = withinBounds(row.at(sizeOf(size)));
    this.#runs.learn(key, measuredMs, measuredMs * this.#runs.correction(key), ms);
  }

  decoded(family: string, kind: PictureKind, megapixels: number, wallMs: number): void {
    const ms = sensible(wallMs);
    if (ms === undefined || !(megapixels >= 0)) return;
    const [base, pixels] = this.#decodeParts(family, kind, megapixels);
    const corrected = base * this.#decodes.correction(family) + pixels * this.#decodes.correction(kind);
    // It tells of what takes most of it.
    this.#decodes.learn(pixels > base ? kind : family, withinBounds(base + pixels), withinBounds(corrected), ms);
  }

  /** ms as measured: whatever the picture, and for its pixels. */
  #decodeParts(family: string, kind: PictureKind, megapixels: number): [number, number] {
    const { families, kinds } = this.baselines;
    const ofFamily = Object.hasOwn(families, family) ? part(families[family] as number) : this.#otherFamilyMs;
    const ofKind = Object.hasOwn(kinds, kind) ? part(kinds[kind] as number) : this.#otherKindMs;
    return [ofFamily, ofKind * megapixelsOf(megapixels)];
  }
}

function timesOf(ms: number, { mean, high }: Factors, idle: number, cpus: number): Times {
  return {
    meanMs: withinBounds(ms * mean),
    highMs: withinBounds(ms * high),
    idleMs: withinBounds(ms * idle),
    cpuMs: withinBounds(ms * cpus),
  };
}
