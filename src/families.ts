/**
 * The served families, and how a family is added, replaced or removed while the service runs. A new family is loaded,
 * checked and measured beside the others, in background runs. Then the catalog changes at once, for new requests only.
 * The old family stays loaded until the last request that was read before has been answered.
 */
import type { Logger } from 'pino';
import type { Config } from './config.js';
import { checkDefaultBudget } from './default-budget.js';
import { type CheckedFamily, forDevice, withoutBadTwins } from './engine/twins.js';
import { warmBatches } from './engine/warm.js';
import { StartError } from './errors.js';
import { type Family, withVersionInKeys } from './family/instance.js';
import { Catalog, ServedFamily } from './family/served.js';
import { hostLatency } from './host-latency.js';
import type { Decoder } from './image/decoder.js';
import { LatencyModel } from './latency/model.js';
import { graphsOf } from './networks.js';
import { chosenFrom } from './router/frontier.js';
import { residentOf } from './router/resident.js';
import type { Runtime } from './runtime/runtime.js';
import type { Clock } from './scheduler/clock.js';
import { ANSWER_MS } from './scheduler/order.js';
import type { Metrics } from './telemetry/metrics.js';
import type { SharedFamily } from './weights/share.js';

/** Least MiB to count for an instance: for small networks the measured difference is mostly noise of other memory. */
const LEAST_INSTANCE_MB = 1;

/** A family that is loaded in every engine thread and measured. */
export interface Member extends CheckedFamily {
  /** Keys of the int8 instances that are served in place of their float32 ones. */
  readonly fasterTwins: ReadonlySet<string>;
  /** Its shared graphs; undefined if each instance has its own weights. */
  readonly shared: SharedFamily | undefined;
}

/** What follows from a set of members. */
interface Composed {
  readonly served: readonly ServedFamily[];
  /** Keys of the instances that stay loaded. */
  readonly resident: ReadonlySet<string>;
}

export interface FamiliesParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly runtime: Runtime;
  readonly decoder: Decoder;
  readonly latency: LatencyModel;
  /** Mean MiB of an instance in all engine threads together (networks.ts). */
  readonly instanceMb: number | undefined;
  /** Makes the instances of a family share weights; others: shared families that are loaded. undefined if it cannot. */
  share(family: Family, others: readonly SharedFamily[]): Promise<SharedFamily | undefined>;
  /** Resolves when all requests that are in flight now have ended. */
  settled(): Promise<void>;
  /** When aborted, no further family is loaded. */
  readonly signal: AbortSignal;
}

export class Families {
  readonly catalog: Catalog;
  readonly #parts: FamiliesParts;
  #members: readonly Member[];
  /** Keys of the instances that stay loaded. */
  #resident: ReadonlySet<string>;

  /**
   * Serves the families that were loaded at start. Raises StartError if one of them has no instance for DEFAULT_BUDGET.
   */
  constructor(parts: FamiliesParts, members: readonly Member[]) {
    this.#parts = parts;
    this.#members = members;
    const { served, resident } = this.#compose(members);
    this.#checkDefaultBudget(served, parts.latency);
    this.catalog = new Catalog(served, parts.config.DEFAULT_MODEL);
    this.#resident = resident;
    parts.runtime.keep(resident);
    for (const member of members) this.#tell(member);
  }

  /** Whether the service ends, so that no further family is loaded. */
  get ending(): boolean {
    return this.#parts.signal.aborted;
  }

  /** Makes the slow first runs of all resident instances, before the service is ready. */
  async warm(): Promise<void> {
    await warmBatches(
      this.#parts.runtime,
      this.#members.map((m) => m.family),
      this.#resident,
    );
  }

  /**
   * Loads a family beside the others, then serves it, in place of the family with the same name if there is one.
   * Resolves when the old one is freed. Raises StartError, or the error of the engine, if it cannot be served; then
   * everything stays as it was.
   */
  async serve(found: Family): Promise<void> {
    const old = this.#members.find((m) => m.family.name === found.name);
    if (old?.family.version === found.version) return;
    const { runtime, logger, latency, signal, share } = this.#parts;
    const fitted = forDevice(old ? withVersionInKeys(found) : found, runtime.device);
    const loaded = fitted.family;
    logger.info({ model: loaded.name, version: loaded.version, instead: old?.family.version }, 'loading a family');
    const others = this.#members.flatMap((m) => m.shared ?? []);
    const ownShared = await share(loaded, others);
    const graphs = graphsOf(loaded, ownShared);
    const keys = new Set(graphs.map((g) => g.key));
    try {
      signal.throwIfAborted();
      await runtime.add(graphs);
      const checked = await this.#check(fitted);
      signal.throwIfAborted();
      const families = [checked.family];
      const { baselines, fasterTwins } = await hostLatency({
        ...this.#parts,
        families,
        shared: new Map(ownShared && [[loaded.name, ownShared]]),
      });
      signal.throwIfAborted();
      const member = { ...checked, fasterTwins, shared: ownShared };
      const members = [...this.#members.filter((m) => m !== old), member].sort(byName);
      const composed = this.#compose(members);
      const own = composed.served.filter(({ family }) => family === checked.family);
      this.#checkDefaultBudget(
        own,
        LatencyModel.from(baselines, () => 0),
      );
      await warmBatches(runtime, families, composed.resident);
      signal.throwIfAborted();
      latency.add(baselines);
      this.#tell(member);
      this.#change(members, composed, old);
    } catch (error) {
      runtime.remove(keys);
      ownShared?.release();
      throw error;
    }
    if (old) await this.#free(old);
  }

  /** Stops to serve a family. Resolves when it is freed. Raises StartError if it is DEFAULT_MODEL. */
  async remove(name: string): Promise<void> {
    const old = this.#members.find((m) => m.family.name === name);
    if (!old) return;
    if (this.#parts.config.DEFAULT_MODEL === name) {
      throw new StartError(`${name} stays in service, because DEFAULT_MODEL names it`);
    }
    const members = this.#members.filter((m) => m !== old);
    this.#change(members, this.#compose(members), old);
    this.#parts.metrics.weights.remove({ model: name });
    await this.#free(old);
  }

  /** Serves these members from now on. old: a member that is not among them any more; its graphs stay loaded. */
  #change(members: readonly Member[], { served, resident }: Composed, old: Member | undefined): void {
    const { runtime } = this.#parts;
    const oldKeys = old?.family.instances.map((i) => i.key) ?? [];
    this.#members = members;
    this.#resident = resident;
    this.catalog.families = served;
    runtime.keep(new Set([...resident, ...oldKeys.filter((key) => runtime.keeps(key))]));
  }

  /** Frees a family that is not served any more when no request needs it. */
  async #free({ family, shared }: Member): Promise<void> {
    const { runtime, latency, metrics, logger, settled } = this.#parts;
    const { name, version, instances } = family;
    await settled();
    const keys = new Set(instances.map((i) => i.key));
    runtime.remove(keys);
    runtime.keep(this.#resident);
    latency.forget(keys);
    shared?.release();
    metrics.model.remove({ model: name, version });
    logger.info({ model: name, version }, 'family freed');
  }

  async #check(family: CheckedFamily): Promise<CheckedFamily> {
    let checked: Promise<CheckedFamily> | undefined;
    await this.#parts.runtime.onEveryThread(async (run) => {
      const logits = async (batch: Parameters<typeof run>[0]) => (await run(batch)).logits;
      checked ??= withoutBadTwins(family, logits, (twin) => badTwin(this.#parts.logger, twin)); // the first thread does it
      await checked;
    });
    if (!checked) throw new Error('no engine thread is alive');
    return checked;
  }

  /** Decides which instances are served and which stay loaded. */
  #compose(members: readonly Member[]): Composed {
    const { config, instanceMb, logger } = this.#parts;
    const chosen = members.map(({ family, fasterTwins, shared }) => ({
      instances: family.instances,
      chosen: chosenFrom(family.instances, fasterTwins),
      shared: shared !== undefined,
    }));
    const eachMb = Math.max(LEAST_INSTANCE_MB, instanceMb ?? 0);
    const most = config.MAX_RESIDENT_MB === undefined ? undefined : config.MAX_RESIDENT_MB / eachMb;
    const resident = residentOf(chosen, most);
    const wanted = residentOf(chosen).size;
    if (resident.size < wanted) {
      logger.warn(
        { resident: resident.size, wanted, neededMb: Math.ceil(wanted * eachMb) },
        'MAX_RESIDENT_MB has no room for all instances: only these are served, any other is loaded when it is pinned',
      );
    }
    const served = members.map(
      ({ family, shared, absent }, n) =>
        new ServedFamily({ family, frontier: chosen[n]?.chosen ?? [], resident, shared, absent }),
    );
    return { served, resident };
  }

  #checkDefaultBudget(served: readonly ServedFamily[], latency: LatencyModel): void {
    const { config, logger } = this.#parts;
    const idleMs = ({ key }: { readonly key: string }) => latency.run(key, 1).idleMs + ANSWER_MS;
    checkDefaultBudget(config.DEFAULT_BUDGET, served, idleMs, logger);
  }

  #tell({ family: { name, version }, shared }: Member): void {
    const { metrics } = this.#parts;
    metrics.model.set({ model: name, version }, 1);
    metrics.weights.set({ model: name }, shared?.bytes ?? 0);
  }
}

const byName = (a: Member, b: Member) => (a.family.name < b.family.name ? -1 : 1);

export function badTwin(logger: Logger, twin: object): void {
  logger.warn(twin, 'this processor computes this int8 instance wrongly, so it is not served');
}
