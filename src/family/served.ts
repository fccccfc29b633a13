/** The served families, and which of their instances the service may choose. */
import { DimmerError } from '../errors.js';
import { type Family, fullInstance, type Instance } from './instance.js';

export interface SharedWeights {
  /** Size of the shared tensors and graphs. */
  readonly bytes: number;
  /** Batch norms folded into weights (done), of those that could be (of). */
  readonly folded: { readonly done: number; readonly of: number };
}

export interface ServedFacts {
  readonly family: Family;
  /** The instances worth choosing (router/frontier.ts). */
  readonly frontier: readonly Instance[];
  /** Keys of the instances that every engine thread keeps loaded; all instances if missing. */
  readonly resident?: ReadonlySet<string>;
  readonly shared?: SharedWeights | undefined;
  /** Id of an int8 instance that was removed from the family on this host -> the reason (see engine/twins.ts). */
  readonly absent?: ReadonlyMap<string, string>;
}

export class ServedFamily {
  readonly family: Family;
  /** The instances that the service may choose: those of the frontier that are resident. Others run only if pinned. */
  readonly instances: readonly Instance[];
  readonly full: Instance;
  /** Size of the shared weights; undefined if each instance has its own weights. */
  readonly shared: SharedWeights | undefined;
  readonly #frontier: ReadonlySet<Instance>;
  readonly #resident: ReadonlySet<string>;
  readonly #absent: ReadonlyMap<string, string>;

  constructor({ family, frontier, resident, shared, absent }: ServedFacts) {
    this.family = family;
    this.shared = shared;
    this.#absent = absent ?? new Map();
    this.#frontier = new Set(frontier);
    this.#resident = resident ?? new Set(family.instances.map((i) => i.key));
    this.instances = frontier.filter((i) => this.resident(i));
    this.full = fullInstance(family.instances);
  }

  onFrontier(instance: Instance): boolean {
    return this.#frontier.has(instance);
  }

  serves(instance: Instance): boolean {
    return this.instances.includes(instance);
  }

  resident({ key }: Instance): boolean {
    return this.#resident.has(key);
  }

  /**
   * The instance of the family with this id, served or not. Raises DimmerError unknown-instance, which lists all ids.
   */
  instance(id: string): Instance {
    const found = this.family.instances.find((i) => i.id === id);
    if (found) return found;
    const ids = this.family.instances.map((i) => i.id);
    const why = this.#absent.get(id);
    throw new DimmerError('unknown-instance', {
      detail: why
        ? `${this.family.name} has an int8 instance ${id}, but ${why}`
        : `${this.family.name} has no instance ${id}`,
      expected: `one of ${ids.join(', ')}`,
      action: 'choose one of these; GET /models describes them',
      members: { instances: ids },
    });
  }
}

/** The shipped family for photographs, the default when there are several families. */
const FOR_PHOTOGRAPHS = 'imagenet1k';

/**
 * Which family is meant where none is named. defaultModel: DEFAULT_MODEL, which the caller has checked. Without it, one
 * family alone is the default, and among those that are shipped the one for photographs.
 */
export function defaultOf(names: readonly string[], defaultModel: string | undefined): string | undefined {
  const [only] = names.length === 1 ? names : names.filter((name) => name === FOR_PHOTOGRAPHS);
  return defaultModel ?? only;
}

/** All served families. */
export class Catalog {
  /** Replaced as a whole when a family is added, replaced or removed. */
  families: readonly ServedFamily[];
  readonly #defaultModel: string | undefined;

  /** defaultModel: DEFAULT_MODEL, see defaultOf. */
  constructor(families: readonly ServedFamily[], defaultModel: string | undefined) {
    this.families = families;
    this.#defaultModel = defaultModel;
  }

  /** Name of the family for requests that name none; undefined if they have to name one. */
  get default(): string | undefined {
    return defaultOf(this.names, this.#defaultModel);
  }

  get names(): string[] {
    return this.families.map((f) => f.family.name);
  }

  /** The family with this name; undefined if there is none. */
  find(name: string): ServedFamily | undefined {
    return this.families.find((f) => f.family.name === name);
  }

  /**
   * The family with this name, or the default for undefined. Raises DimmerError unknown-model, or invalid-request if
   * there is no default; both list all names.
   */
  family(name: string | undefined): ServedFamily {
    const wanted = name ?? this.default;
    if (wanted === undefined) {
      throw new DimmerError('invalid-request', {
        detail: 'the request names no model, and this service has several',
        expected: `model=<one of ${this.names.join(', ')}>`,
        action: 'add the query parameter model, or ask the operator to set DEFAULT_MODEL',
        members: { models: this.names },
      });
    }
    const found = this.find(wanted);
    if (found) return found;
    throw new DimmerError('unknown-model', {
      detail: `there is no model ${wanted}`,
      expected: `one of ${this.names.join(', ')}`,
      action: 'choose one of these; GET /models describes them',
      members: { models: this.names },
    });
  }
}
