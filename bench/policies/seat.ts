/** A contender in the place of the service's own choice of runs. */
import type { Instance } from '../../src/family/instance.js';
import { type ChooseRun, type Next, planOf, type Run } from '../../src/plan/next.js';
import type { Snapshot, Waiting } from '../../src/plan/snapshot.js';
import type { Contender, Player } from './contender.js';
import { dueOf } from './runs.js';

/** The plan of a player, which is told of the runs that it chose. */
export class Seat {
  readonly next: Next;
  readonly #create: () => Player;
  readonly #now: () => number;
  #player: Player | undefined;
  #chosen: Run<Waiting> | undefined;

  /** instances: asked for at the first decision, as only then a service knows which it has. now: ms of its clock. */
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

  /** begin: begins the run that was chosen last. */
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
