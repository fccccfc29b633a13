/** Who may ask: the keys of API_KEYS and API_KEYS_FILE, and how much each of their owners may have. */
import type { Logger } from 'pino';
import { type Config, NO_KEYS } from '../config.js';
import { DimmerError, StartError } from '../errors.js';
import type { Clock } from '../scheduler/clock.js';
import type { Metrics } from '../telemetry/metrics.js';
import { KeyRing, keysOfSetting, type NamedKey, presentedKeys, type ReadHeader } from './keys.js';
import { KeysFile, readKeysFile } from './keys-file.js';
import { type Client, type Left, Quotas, quotaExceeded } from './quota.js';

/**
 * How many keys have a label of their own in metrics; the others share one. Each label is a time series in two metrics,
 * which Prometheus keeps. The first ones in the file are the ones with a label.
 */
export const MOST_LABELS = 100;
/** No name of a key has parentheses. */
const OTHER_KEYS = '(other)';

type Settings = Pick<
  Config,
  'API_KEYS' | 'API_KEYS_FILE' | 'REQUIRE_API_KEY' | 'QUOTA_PER_MINUTE' | 'QUOTA_FLOPS_PER_MINUTE'
>;

/** Metadata of gRPC, as @grpc/grpc-js has it. */
export interface Metadata {
  get(name: string): (string | Buffer)[];
}

export class Access {
  /** Whether only requests with a key are served. */
  readonly required: boolean;
  readonly quotas: Quotas;
  readonly #ofSetting: readonly NamedKey[];
  readonly #metrics: Pick<Metrics, 'clientRequests' | 'clientFlops'>;
  #ring: KeyRing;
  #labelled: ReadonlySet<string> = new Set();
  #file: KeysFile | undefined;

  /** Without the keys of API_KEYS_FILE; see `open`. */
  constructor(settings: Settings, clock: Clock, metrics: Pick<Metrics, 'clientRequests' | 'clientFlops'>) {
    this.required = settings.REQUIRE_API_KEY;
    this.quotas = new Quotas(
      {
        ...(settings.QUOTA_PER_MINUTE !== undefined && { requests: settings.QUOTA_PER_MINUTE }),
        ...(settings.QUOTA_FLOPS_PER_MINUTE !== undefined && { flops: settings.QUOTA_FLOPS_PER_MINUTE }),
      },
      clock,
    );
    this.#metrics = metrics;
    this.#ofSetting = keysOfSetting(settings.API_KEYS);
    this.#ring = new KeyRing([]);
    this.#use([]);
  }

  /**
   * With the keys of API_KEYS_FILE, which is read again when it has changed until `close` is called. Raises StartError
   * if it cannot be used.
   */
  static async open(settings: Settings, clock: Clock, metrics: Metrics, logger: Logger): Promise<Access> {
    const access = new Access(settings, clock, metrics);
    const path = settings.API_KEYS_FILE;
    if (path !== undefined) {
      const { text, keys } = await readKeysFile(path);
      access.#use(keys);
      access.#file = new KeysFile(path, text, clock, logger, (changed) => access.#use(changed));
      logger.info({ keys: access.#ring.size, required: access.required }, 'API keys read');
    }
    if (access.required && access.#ring.size === 0) throw new StartError(NO_KEYS);
    return access;
  }

  /** Whether there is any key; without one, no request is looked at for it. */
  get hasKeys(): boolean {
    return this.#ring.size > 0;
  }

  /** The name of a key that a client presents; undefined if it presents none that is known. */
  nameOf(header: ReadHeader): string | undefined {
    if (!this.hasKeys) return undefined;
    for (const key of presentedKeys(header)) {
      const name = this.#ring.nameOf(key);
      if (name !== undefined) return name;
    }
    return undefined;
  }

  /** Like `nameOf`. Raises DimmerError unauthorized if keys are required and none is known. */
  admit(header: ReadHeader): string | undefined {
    const name = this.nameOf(header);
    if (this.required && name === undefined) throw unauthorized(presentedKeys(header).length > 0);
    return name;
  }

  /** `admit` for a call of gRPC: the key is in x-api-key or, as Bearer, in authorization. */
  admitCall(metadata: Metadata): string | undefined {
    return this.admit((name) => {
      const [value] = metadata.get(name);
      return value === undefined ? undefined : String(value);
    });
  }

  /**
   * Counts a request that wants pictures run, before anything is done for it. onLeft: called with what is left of the
   * client's quotas, if there are any. Raises DimmerError quota-exceeded after that.
   */
  begin(client: Client, onLeft: (left: readonly Left[]) => void): void {
    if ('key' in client) this.#metrics.clientRequests.inc({ key: this.#labelOf(client.key) });
    if (!this.quotas.any) return;
    const { usedUp, left } = this.quotas.take(client);
    onLeft(left);
    if (usedUp.length > 0) throw quotaExceeded(usedUp, left);
  }

  /** Charges a picture that a network has run, whatever became of its request. */
  charge(client: Client, flops: number): void {
    if ('key' in client) this.#metrics.clientFlops.inc({ key: this.#labelOf(client.key) }, flops);
    this.quotas.charge(client, flops);
  }

  close(): void {
    this.#file?.close();
  }

  /** Those of the file come first: they have names. */
  #use(ofFile: readonly NamedKey[]): void {
    this.#ring = new KeyRing([...ofFile, ...this.#ofSetting]);
    const { names } = this.#ring;
    this.quotas.keepKeys(names);
    const labelled = new Set(names.slice(0, MOST_LABELS));
    for (const key of this.#labelled) {
      if (labelled.has(key)) continue;
      this.#metrics.clientRequests.remove({ key });
      this.#metrics.clientFlops.remove({ key });
    }
    this.#labelled = labelled;
  }

  #labelOf(name: string): string {
    return this.#labelled.has(name) ? name : OTHER_KEYS;
  }
}

/** given: whether the request brings a key at all. */
function unauthorized(given: boolean): DimmerError {
  return new DimmerError('unauthorized', {
    detail: given ? 'the API key of this request is not known' : 'this request brings no API key',
    expected: 'a key of this service, in the header X-Api-Key or as Authorization: Bearer',
    action: 'ask whoever runs this service for a key, and send it with every request',
  });
}
