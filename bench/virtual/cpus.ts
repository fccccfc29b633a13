/**
 * A simulated clock with simulated CPUs. Tasks share the CPUs equally (processor sharing); tasks with priority
 * (`first`) are served before the others.
 */
import type { Clock } from '../../src/scheduler/clock.js';

interface Task {
  leftMs: number;
  readonly first: boolean;
  readonly end: () => void;
}

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/** CPUs that the other tasks share while tasks with priority could use all of them: Linux lets no task starve. */
const LEAST_RATE = 0.03;

/** Resolves when all microtasks are done, because Node runs `nextTick` callbacks after them. */
const settled = () => new Promise<void>((resolve) => process.nextTick(resolve));

export class Cpus implements Clock {
  readonly #count: number;
  readonly #tasks = new Set<Task>();
  /** In order of time. */
  readonly #timers: Timer[] = [];
  #nowMs = 0;
  #busyMs = 0;

  constructor(count: number) {
    this.#count = count;
  }

  now(): number {
    return this.#nowMs;
  }

  /** CPU ms used so far by all tasks. */
  get busyMs(): number {
    return this.#busyMs;
  }

  after(ms: number, callback: () => void): () => void {
    const timer: Timer = { atMs: this.#nowMs + ms, callback };
    const before = this.#timers.findLastIndex((t) => t.atMs <= timer.atMs);
    this.#timers.splice(before + 1, 0, timer);
    return () => {
      const place = this.#timers.indexOf(timer);
      if (place >= 0) this.#timers.splice(place, 1);
    };
  }

  /** Adds a task of `ms` CPU time; resolves when it is done. first: with priority. */
  work(ms: number, first = false): Promise<void> {
    return new Promise((end) => {
      this.#tasks.add({ leftMs: ms, first, end });
    });
  }

  /** Advances the clock from event to event until no task and no timer is left; promises settle after each event. */
  async run(): Promise<void> {
    for (;;) {
      await settled();
      const rateOf = this.#rates();
      const [task, inMs] = this.#nextEnd(rateOf);
      const timer = this.#timers[0];
      if (!task && !timer) return;
      const timerInMs = timer ? timer.atMs - this.#nowMs : Number.POSITIVE_INFINITY;
      this.#pass(Math.max(0, Math.min(inMs, timerInMs)), rateOf);
      if (timer && timerInMs <= inMs) {
        this.#timers.shift();
        timer.callback();
      } else if (task) {
        this.#tasks.delete(task);
        task.end();
      }
    }
  }

  /** The share of a CPU that each task gets now. */
  #rates(): (task: Task) => number {
    let first = 0;
    for (const task of this.#tasks) if (task.first) first += 1;
    const others = this.#tasks.size - first;
    const ofFirst = Math.min(1, this.#count / first);
    const ofOthers = Math.min(1, Math.max(LEAST_RATE, this.#count - first) / others);
    return (task) => (task.first ? ofFirst : ofOthers);
  }

  #nextEnd(rateOf: (task: Task) => number): [Task | undefined, number] {
    let [next, inMs]: [Task | undefined, number] = [undefined, Number.POSITIVE_INFINITY];
    for (const task of this.#tasks) {
      const ms = task.leftMs / rateOf(task);
      if (ms < inMs) [next, inMs] = [task, ms];
    }
    return [next, inMs];
  }

  #pass(ms: number, rateOf: (task: Task) => number): void {
    for (const task of this.#tasks) {
      const done = ms * rateOf(task);
      task.leftMs -= done;
      this.#busyMs += done;
    }
    this.#nowMs += ms;
  }
}

/** An event loop: one thread with priority, which does its tasks one after another. */
export class EventLoop {
  readonly #cpus: Cpus;
  #last: Promise<void> = Promise.resolve();

  constructor(cpus: Cpus) {
    this.#cpus = cpus;
  }

  /** Adds a task of `ms` CPU time behind the earlier ones; resolves when it is done. */
  do(ms: number): Promise<void> {
    this.#last = this.#last.then(() => this.#cpus.work(ms, true));
    return this.#last;
  }
}
