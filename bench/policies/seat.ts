/** Puts a contender in place of the service's own choice of runs. */
import type { Instance } from '../../src/family/instance.js';
import { type ChooseRun, type Next, planOf, type Run } from '../../src/plan/next.js';
import type { Snapshot, Waiting } from '../../src/plan/snapshot.js';
import type { Contender, Player } from './contender.js';
import { dueOf } from './runs.js';

/** A plan (`next`) that asks a contender for each run, and tells the contender when that run has ended. */
export class Seat {
  readonly next: Next;
  readonly #create: () => Player;
  readonly #now: () => number;
  #player: Player | undefined;
  #chosen: Run<Waiting> | undefined;

  /** instances: called at the first decision, when the service knows its instances. now: the service's clock in ms. */
  constructor(contender: Contender, instances: () => readonly Instance[], now: () => number) {
    this.#create = () => contender.create(instances());
    this.#now = now;
    const chooseRun: ChooseRun = <W extends Waiting>(
      decoded: readonly W[],
      snapshot: Snapshot<W>,
      offersOf: Parameters<ChooseRun>[2],
    ) => {
      this.#player ??= this.#create();
      const choice = this.#player.chooseRun(decoded, snapshot, offersOf);
      this.#chosen = choice.type === 'run' ? choice : undefined;
      return choice;
    };
    this.next = planOf(chooseRun);
  }

  /** Calls `begin`, which starts the run that was chosen last, and tells the contender when it has ended. */
  run<T>(begin: () => Promise<T>): Promise<T> {
    const [chosen, startMs] = [this.#chosen, this.#now()];
    this.#chosen = undefined;
    const running = begin();
    const ended = () => {
      if (chosen) this.#ended(chosen, startMs);
    };
    running.then(ended, ended);
    return running;
  }

  #ended({ instance, pictures }: Run<Waiting>, startMs: number): void {
    const nowMs = this.#now();
    const missed = pictures.filter((w) => nowMs > dueOf(w)).length;
    this.#player?.finished?.({ instance, size: pictures.length, actualMs: nowMs - startMs, missed });
  }
}
