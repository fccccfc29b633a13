/**
 * Discrete events: pictures arrive, runs end, a thread dies and is replaced, a policy asks to be woken. Between events
 * nothing happens, so the clock jumps. Decoding, HTTP and the time that decisions take are left out.
 *
 * Policies are asked as src/scheduler/scheduler.ts asks them: whenever a thread is free and something waits, again and
 * again until they have no run.
 */
import type { Instance } from '../../src/family/instance.js';
import type { Load } from '../../src/policy/admission.js';
import { Arrivals, type Forecast } from '../../src/policy/arrivals.js';
import { byRank, fastest, type Waiting } from '../../src/policy/picture.js';
import type { Run } from '../../src/policy/policy.js';
import type { Contender, Player } from '../policies/contender.js';
import type { Trace } from './traces.js';
import type { World } from './world.js';

/** How long an engine thread is away after it died: about what one takes to start and load a CIFAR family. */
const REPLACED_AFTER_MS = 1000;

/** What became of a picture: failed is one whose thread died under it, waiting one that a policy never ran nor dropped. */
export type Fate = 'in time' | 'late' | 'refused' | 'expired' | 'failed' | 'waiting';

export interface Answer {
  fate: Fate;
  readonly arrivalMs: number;
  /** Of the run it was in. */
  instance?: Instance;
  startMs?: number;
  endMs?: number;
}

export interface Simulation {
  /** In order of arrival. */
  readonly answers: readonly Answer[];
  /** ms of this host for each call of the policy. */
  readonly decisionsMs: readonly number[];
}

interface Picture extends Waiting {
  readonly answer: Answer;
}

interface Running extends Run<Picture> {
  readonly startMs: number;
  readonly endMs: number;
}

export function simulate(trace: Trace, contender: Contender, world: World): Simulation {
  const simulator = new Simulator(trace, contender.create(world.instances), world);
  return simulator.run();
}

class Simulator {
  readonly #trace: Trace;
  readonly #player: Player;
  readonly #world: World;
  readonly #arrivals = new Arrivals();
  readonly #answers: Answer[] = [];
  readonly #decisionsMs: number[] = [];
  #nowMs = 0;
  #alive: number;
  #begun = 0;
  #waiting: Picture[] = [];
  #running: Running[] = [];
  #wakeMs = Number.POSITIVE_INFINITY;
  #killMs: number;
  #replacedMs = Number.POSITIVE_INFINITY;

  constructor(trace: Trace, player: Player, world: World) {
    this.#trace = trace;
    this.#player = player;
    this.#world = world;
    this.#alive = world.threads;
    this.#killMs = trace.killThreadAtMs ?? Number.POSITIVE_INFINITY;
  }

  run(): Simulation {
    for (;;) {
      this.#nowMs = this.#nextEventMs();
      if (this.#nowMs === Number.POSITIVE_INFINITY) break;
      // What ends now makes room for what arrives now.
      this.#endRuns();
      this.#loseThread();
      this.#arrive();
      this.#dispatch();
    }
    return { answers: this.#answers, decisionsMs: this.#decisionsMs };
  }

  #nextEventMs(): number {
    const arrivalMs = this.#trace.arrivalsMs[this.#answers.length] ?? Number.POSITIVE_INFINITY;
    return Math.min(arrivalMs, this.#firstEndMs, this.#wakeMs, this.#killMs, this.#replacedMs);
  }

  get #firstEndMs(): number {
    return this.#running.reduce((first, r) => Math.min(first, r.endMs), Number.POSITIVE_INFINITY);
  }

  #endRuns(): void {
    if (this.#firstEndMs > this.#nowMs) return;
    const ended = this.#running.filter((r) => r.endMs <= this.#nowMs);
    this.#running = this.#running.filter((r) => r.endMs > this.#nowMs);
    for (const { instance, pictures, predictedMs, startMs, endMs } of ended) {
      for (const { answer, deadlineMs } of pictures) {
        Object.assign(answer, { instance, startMs, endMs, fate: endMs <= deadlineMs ? 'in time' : 'late' });
      }
      const missed = pictures.filter((p) => p.answer.fate === 'late').length;
      this.#player.finished?.({ instance, size: pictures.length, predictedMs, actualMs: endMs - startMs, missed });
    }
  }

  /** The thread that dies is one at work, if there is one: its pictures fail. */
  #loseThread(): void {
    if (this.#replacedMs <= this.#nowMs) {
      this.#alive += 1;
      this.#replacedMs = Number.POSITIVE_INFINITY;
    }
    if (this.#killMs > this.#nowMs) return;
    this.#killMs = Number.POSITIVE_INFINITY;
    this.#alive -= 1;
    this.#replacedMs = this.#nowMs + REPLACED_AFTER_MS;
    for (const { answer } of this.#running.shift()?.pictures ?? []) answer.fate = 'failed';
  }

  #arrive(): void {
    const { arrivalsMs } = this.#trace;
    for (;;) {
      const arrivalMs = arrivalsMs[this.#answers.length];
      if (arrivalMs === undefined || arrivalMs > this.#nowMs) return;
      const answer: Answer = { fate: 'waiting', arrivalMs };
      this.#answers.push(answer);
      const { instances, deadlineMs } = this.#world;
      const picture = { allowed: instances, deadlineMs: arrivalMs + deadlineMs, strict: true, late: false, arrivalMs };
      this.#arrivals.add(arrivalMs);
      if (this.#player.refuses?.(picture, this.#load())) {
        answer.fate = 'refused';
      } else {
        this.#insert({ ...picture, answer });
      }
    }
  }

  #load(): Load & Forecast {
    return {
      nowMs: this.#nowMs,
      threads: this.#threads,
      capacity: this.#threads,
      besidesMs: 0,
      waiting: this.#waiting,
      expected: [],
      runningUntilMs: this.#running.map((r) => r.startMs + r.predictedMs),
      predict: this.#world.predict,
      expect: this.#world.expect,
      cost: this.#world.cost,
      ...this.#arrivals.forecast(this.#nowMs),
    };
  }

  /** As the engine tells it: a dead one is being replaced, so at least 1. */
  get #threads(): number {
    return Math.max(1, this.#alive);
  }

  get #idle(): number {
    return Math.max(0, this.#alive - this.#running.length);
  }

  #insert(picture: Picture): void {
    const before = this.#waiting.findLastIndex((w) => byRank(w, picture) <= 0);
    this.#waiting.splice(before + 1, 0, picture);
  }

  #dispatch(): void {
    this.#wakeMs = Number.POSITIVE_INFINITY;
    while (this.#waiting.length && this.#idle > 0) {
      const { run, expired, turnedLate, waitUntilMs } = this.#decide();
      for (const { answer } of expired) answer.fate = 'expired';
      this.#remove([...expired, ...turnedLate, ...(run?.pictures ?? [])]);
      for (const picture of turnedLate) this.#turnLate(picture);
      if (run) this.#start(run);
      else if (!turnedLate.length) {
        // A moment that has come already would be waited for for ever.
        if (waitUntilMs !== undefined && waitUntilMs > this.#nowMs) this.#wakeMs = waitUntilMs;
        break;
      }
    }
  }

  #decide() {
    const nobody = { decoding: 0, decodingDueMs: Number.NEGATIVE_INFINITY };
    const view = { ...this.#load(), idle: this.#idle, ...nobody };
    const startMs = performance.now();
    const decision = this.#player.policy(this.#waiting, view);
    this.#decisionsMs.push(performance.now() - startMs);
    return decision;
  }

  #remove(pictures: readonly Picture[]): void {
    if (pictures.length === 0) return;
    const gone = new Set(pictures);
    this.#waiting = this.#waiting.filter((w) => !gone.has(w));
  }

  #turnLate(picture: Picture): void {
    this.#insert({ ...picture, allowed: [fastest(picture.allowed, this.#world.predict)], late: true });
  }

  #start(run: Run<Picture>): void {
    const ms = this.#world.durationMs(run.instance, run.pictures.length, this.#begun++);
    this.#running.push({ ...run, startMs: this.#nowMs, endMs: this.#nowMs + ms });
  }
}
