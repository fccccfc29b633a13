import type { LatencyModel, Times } from '../../src/latency/model.js';
import type { Table } from './table.js';

class Live {
  #v: { r: number; at: number }[] = [];
  #mean = 1;
  #high = 1.2;
  #dirty = false;
  constructor(readonly now: () => number) {}
  add(r: number) {
    this.#v.push({ r, at: this.now() });
    if (this.#v.length > 64) this.#v.shift();
    this.#dirty = true;
  }
  get() {
    if (this.#v.length && this.now() - (this.#v.at(-1) as { at: number }).at > 5000) {
      this.#v = [];
      this.#mean = 1;
      this.#high = 1.2;
    }
    if (this.#dirty) {
      this.#dirty = false;
      const s = [...this.#v.map((x) => x.r), ...(this.#v.length < 20 ? Array(20 - this.#v.length).fill(1) : [])].sort(
        (a, b) => a - b,
      );
      this.#mean = s.reduce((a, b) => a + b, 0) / s.length;
      this.#high = Math.max(this.#mean, s[Math.ceil(0.95 * s.length) - 1] as number);
    }
    return { mean: this.#mean, high: this.#high };
  }
}
const med = (a: readonly number[]) => a.toSorted((x, y) => x - y)[Math.floor(a.length / 2)] as number;
export function modelOf(table: Table, decodeMs: number, now: () => number): LatencyModel {
  const runs = new Live(now),
    decs = new Live(now);
  const base = new Map(
    Object.entries(table.samples).map(([id, s]) => {
      const [one, eight] = [med(s[1] as number[]), med(s[8] as number[])];
      const b = Math.max(0.01, Math.min((eight - one) / 7, eight / 8));
      return [id, { a: Math.max(0, eight - 8 * b), b }];
    }),
  );
  const times = (ms: number, l: Live): Times => {
    const { mean, high } = l.get();
    return { meanMs: ms * mean, highMs: ms * high, idleMs: ms * 1.2, cpuMs: ms };
  };
  const b = (k: string, n: number) => {
    const { a, b } = base.get(k) as { a: number; b: number };
    return a + b * n;
  };
  return {
    run: (k, n) => times(b(k, n), runs),
    decode: () => times(decodeMs, decs),
    ran: (k, n, ms) => runs.add(ms / b(k, n)),
    decoded: (_f, _k, _m, ms) => decs.add(ms / decodeMs),
  };
}
