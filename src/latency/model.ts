/**
 * The latency model: predicts how long a decode and a run take on this host. It is a total function: every question
 * gets finite times above 0, at any moment, and no input and no clock makes it throw.
 *
 * A prediction is a baseline fitted at start (for a run of n pictures a + b n) times the live factor of its stage,
 * which recent times of that stage show (stage.ts). All instances share one factor, because the load of the host slows
 * all of them: instances keep their order, and one that did not run lately is predicted as slow as the others.
 */
import { getOrInsert } from '../get-or-insert.js';
import { type Baselines, NOTHING_MEASURED, type PictureKind } from './baselines.js';
import { LEAST_MS, type Line } from './line.js';
import { type Factors, Stage } from './stage.js';
import type { CpuMs, WallMs } from './units.js';

export type { PictureKind } from './baselines.js';

export interface Times {
  /** Mean under the load of the last seconds. */
  readonly meanMs: WallMs;
  /** 95th percentile under the load of the last seconds; promises are based on it. At least the mean. */
  readonly highMs: WallMs;
  /** 95th percentile on an idle host, as measured at start; the present load does not change it. */
  readonly idleMs: WallMs;
  /** CPU time. A run on several ONNX threads counts as if all of them were busy throughout. */
  readonly cpuMs: CpuMs;
}

/** The latency model as its users need it: predictions (`run`, `decode`) and observed times (`ran`, `decoded`). */
export type Latency = Pick<LatencyModel, 'run' | 'decode' | 'ran' | 'decoded'>;

/** Upper bound of a predicted time: the longest latency that a budget can ask for. */
const MOST_MS = 3_600_000;
/** Times of batch sizes up to this one, the largest of any device, are cached; others are computed each time. */
const MOST_KEPT = 64;
/** Larger sizes and pictures count as this size, so that no product becomes infinite. */
const MOST_SIZE = 1e6;
const MOST_MEGAPIXELS = 1e6;
/**
 * ms assumed for an instance or a decode while nothing was measured (a medium network); the first runs correct them.
 */
const UNKNOWN_RUN: Line = { aMs: 0, bMs: 10 };
const UNKNOWN_DECODE_MS = 1;
const UNKNOWN_MEGAPIXEL_MS = 20;
const withinBounds = (ms: number): number => Math.min(MOST_MS, Math.max(LEAST_MS, ms));
/** An observed time within bounds; undefined if it is not a number. */
const sensible = (ms: number): number | undefined => (Number.isNaN(ms) ? undefined : withinBounds(ms));
const sizeOf = (size: number): number => Math.min(MOST_SIZE, Math.max(1, size || 1));
const megapixelsOf = (megapixels: number): number => Math.min(MOST_MEGAPIXELS, Math.max(0, megapixels || 0));
/** Part of a baseline, between 0 and MOST_MS; 0 if it is not a finite number. */
const part = (ms: number): number => (Number.isFinite(ms) ? Math.min(MOST_MS, Math.max(0, ms)) : 0);
const average = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** The baseline of one instance, with a cache of its predicted times. */
class Row {
  readonly line: Line;
  /** Batch size -> predicted times, valid while the stage has the version #version. */
  readonly #times: Times[] = [];
  #version = -1;

  constructor({ aMs, bMs }: Line) {
    const [a, b] = [part(aMs), part(bMs)];
    this.line = a + b > 0 ? { aMs: a, bMs: b } : { aMs: LEAST_MS, bMs: 0 };
  }

  /** ms of a run of this batch size as measured at start, without corrections. */
  at(size: number): number {
    return this.line.aMs + this.line.bMs * size;
  }

  /** The cached times of this size, if they were computed for this version of the stage. */
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
  readonly #runs: Stage;
  readonly #decodes: Stage;
  readonly #rows: Map<string, Row>;
  /** Family -> ms of a decode that do not depend on the picture. */
  readonly #families: Map<string, number>;
  readonly #kinds: ReadonlyMap<string, number>;
  /** The baseline of instances that were not measured: the mean of all others. */
  readonly #others: Row;
  readonly #cpusOfRun: number;
  readonly #idleRun: number;
  readonly #idleDecode: number;
  readonly #otherFamilyMs: number;
  readonly #otherKindMs: number;

  private constructor(baselines: Baselines, now: () => number) {
    this.#runs = new Stage(baselines.runSpread, now);
    this.#decodes = new Stage(baselines.decodeSpread, now);
    this.#rows = new Map(Object.entries(baselines.runs).map(([key, line]) => [key, new Row(line)]));
    const lines = [...this.#rows.values()].map((row) => row.line);
    this.#others = new Row(
      lines.length ? { aMs: average(lines.map((l) => l.aMs)), bMs: average(lines.map((l) => l.bMs)) } : UNKNOWN_RUN,
    );
    this.#families = new Map(Object.entries(baselines.families));
    this.#kinds = new Map(Object.entries(baselines.kinds));
    this.#cpusOfRun = Math.max(1, part(baselines.onnxThreads));
    this.#idleRun = this.#runs.atStart.high;
    this.#idleDecode = this.#decodes.atStart.high;
    // An unknown family or format counts as the slowest known one: a decode that ends sooner breaks no promise.
    const [families, kinds] = [Object.values(baselines.families), Object.values(baselines.kinds)];
    this.#otherFamilyMs = families.length ? part(Math.max(...families)) : UNKNOWN_DECODE_MS;
    this.#otherKindMs = kinds.length ? part(Math.max(...kinds)) : UNKNOWN_MEGAPIXEL_MS;
  }

  /** now: ms of a monotonic clock. */
  static from(baselines: Baselines, now: () => number): LatencyModel {
    return new LatencyModel(baselines, now);
  }

  /** The model of a service that has measured nothing yet. */
  static unmeasured(now: () => number): LatencyModel {
    return new LatencyModel(NOTHING_MEASURED, now);
  }

  /** Adds the baselines of further instances and families, or replaces known ones. */
  add({ runs, families }: Pick<Baselines, 'runs' | 'families'>): void {
    for (const [key, line] of Object.entries(runs)) {
      this.#rows.set(key, new Row(line));
      this.#runs.forget(key);
    }
    for (const [family, ms] of Object.entries(families)) {
      this.#families.set(family, ms);
      this.#decodes.forget(family);
    }
  }

  /** Forgets instances that are gone. */
  forget(keys: Iterable<string>): void {
    for (const key of keys) {
      this.#rows.delete(key);
      this.#runs.forget(key);
    }
  }

  /** Predicted times of a run. key: the instance's key. size: pictures in the batch. */
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

  /** Predicted times of decoding one picture for a family. */
  decode(family: string, kind: PictureKind, megapixels: number): Times {
    const [base, pixels] = this.#decodeParts(family, kind, megapixels);
    const ms = base * this.#decodes.correction(family) + pixels * this.#decodes.correction(kind);
    return timesOf(ms, this.#decodes.factors, this.#idleDecode, 1);
  }

  /** Learns from a run that took wallMs. */
  ran(key: string, size: number, wallMs: number): void {
    const ms = sensible(wallMs);
    if (ms === undefined || !(size >= 1)) return;
    const row = getOrInsert(this.#rows, key, () => new Row(this.#others.line));
    const measuredMs = withinBounds(row.at(sizeOf(size)));
    this.#runs.learn(key, measuredMs, measuredMs * this.#runs.correction(key), ms);
  }

  /** Learns from a decode that took wallMs. */
  decoded(family: string, kind: PictureKind, megapixels: number, wallMs: number): void {
    const ms = sensible(wallMs);
    if (ms === undefined || !(megapixels >= 0)) return;
    const [base, pixels] = this.#decodeParts(family, kind, megapixels);
    const corrected = base * this.#decodes.correction(family) + pixels * this.#decodes.correction(kind);
    // The decode corrects the larger of its two parts: the fixed one of the family or the one of the pixels.
    this.#decodes.learn(pixels > base ? kind : family, withinBounds(base + pixels), withinBounds(corrected), ms);
  }

  /** Baseline ms of a decode, without corrections: [the family's fixed part, the part of the pixels]. */
  #decodeParts(family: string, kind: PictureKind, megapixels: number): [number, number] {
    const ofFamily = part(this.#families.get(family) ?? this.#otherFamilyMs);
    const ofKind = part(this.#kinds.get(kind) ?? this.#otherKindMs);
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
