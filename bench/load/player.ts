/** A contender in the place of the service's own policy. */
import type { Instance } from '../../src/family/instance.js';
import type { Waiting } from '../../src/policy/picture.js';
import type { Decision, Policy, Run, View } from '../../src/policy/policy.js';
import type { Runtime } from '../../src/runtime/runtime.js';
import { systemClock } from '../../src/scheduler/clock.js';
import type { Contender, Player } from '../policies/contender.js';
import { BATCHERS, CHOOSERS } from '../policies/rivals.js';

/** name: as in bench/policies; instance: for those that have one only. Raises Error if there is none. */
export function contenderOf(name: string, instance: string | undefined): Contender {
  const all = [...CHOOSERS, ...(instance === undefined ? [] : BATCHERS.map((make) => make(instance)))];
  const found = all.find((c) => c.name === name);
  if (!found) throw new Error(`no contender ${name}; there is ${all.map((c) => c.name).join(', ')}`);
  return found;
}

/**
 * Gives a player what the service has no part for: it is told of runs, and woken when it wanted to wait. The service's
 * admission stays before it, which turns away only what not even the fastest instance could finish: kind to players
 * that have none.
 */
export class Seat {
  readonly #create: () => Player;
  #player: Player | undefined;
  #runtime: Runtime | undefined;
  #chosen: Run<Waiting> | undefined;
  #cancelTimer = () => {};

  /** instances: asked for once there are requests, as only then the service knows which it has. */
  constructor(contender: Contender, instances: () => readonly Instance[]) {
    this.#create = () => contender.create(instances());
  }

  readonly policy: Policy = <W extends Waiting>(waiting: readonly W[], view: View): Decision<W> => {
    this.#player ??= this.#create();
    const decision = this.#player.policy(waiting, view);
    this.#chosen = decision.run;
    this.#cancelTimer();
    if (!decision.run && decision.waitUntilMs !== undefined) {
      this.#cancelTimer = systemClock.after(Math.max(0, decision.waitUntilMs - view.nowMs), () =>
        this.#runtime?.onIdle(),
      );
    }
    return decision;
  };

  /** Between the scheduler and its threads: runs follow the decision for them at once. */
  watch<R extends Runtime>(runtime: R): R {
    this.#runtime = runtime;
    const run = runtime.run.bind(runtime);
    runtime.run = (batch) => {
      const [chosen, startMs] = [this.#chosen, systemClock.now()];
      const running = run(batch);
      const ended = () => chosen && this.#ended(chosen, startMs);
      running.then(ended, ended);
      return running;
    };
    return runtime;
  }

  #ended({ instance, pictures, predictedMs }: Run<Waiting>, startMs: number): void {
    const nowMs = systemClock.now();
    const missed = pictures.filter((w) => nowMs > w.deadlineMs).length;
    this.#player?.finished?.({ instance, size: pictures.length, predictedMs, actualMs: nowMs - startMs, missed });
  }
}
