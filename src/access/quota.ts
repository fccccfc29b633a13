/**
 * Quotas: how many requests and how many FLOPs a minute each client may have, by a token bucket for each.
 *
 * A bucket holds the quota of a minute at most, and fills steadily, so that it is full again after a minute. A request
 * takes one token before it is served. FLOPs are known only afterwards: what ran is charged then, which may bring the
 * balance below 0, and no request is served until it is above 0 again.
 */
import { normalizeIP } from '@fastify/rate-limit';
import { DimmerError } from '../errors.js';
import { getOrInsert } from '../get-or-insert.js';
import type { Clock } from '../scheduler/clock.js';

export const WINDOW_MS = 60_000;
/**
 * Upper bound of clients without a key that are counted at once, at some 200 bytes each. Too low: in an attack from many
 * addresses, others share one quota. Too high: memory.
 */
const MAX_ADDRESSES = 50_000;
/** How often clients whose buckets are full are forgotten; looking at all of them takes some 2 ms. */
const FORGET_MS = 1000;
/** Sums of fractions may miss a whole token by this much. */
const ROUNDING = 1e-9;

const UNITS = ['requests', 'flops'] as const;
export type Unit = (typeof UNITS)[number];

/** The quota of a minute in each unit; a unit without a limit is missing. */
export type Limits = Readonly<Partial<Record<Unit, number>>>;

/** Whom a request counts for: the owner of a key, or an address. */
export type Client = { readonly key: string } | { readonly address: string };

/**
 * Whom a request counts for: the owner of its key, else its address. An unknown key counts as none, so that inventing
 * keys gains nothing. An IPv6 customer has a whole /64 network, which counts as one address; an IPv4 address written as
 * IPv6 counts as IPv4.
 */
export const toClient = (keyName: string | undefined, address: string): Client =>
  keyName === undefined ? { address: normalizeIP(address) } : { key: keyName };

/** What is left to a client in one unit. */
export interface Left {
  readonly unit: Unit;
  readonly limit: number;
  /** Whole tokens, at least 0. */
  readonly remaining: number;
  /** Seconds until there is a further token; undefined if the bucket is full. */
  readonly moreInS: number | undefined;
}

/** Tokens as they were at a time; what has flowed in since then is computed when it is needed. */
interface Bucket {
  tokens: number;
  atMs: number;
}

type Account = Partial<Record<Unit, Bucket>>;

export class Quotas {
  readonly limits: Limits;
  readonly #clock: Clock;
  readonly #max: number;
  readonly #addresses = new Map<string, Account>();
  /** Of keys, which are few, so that they need no bound. */
  readonly #keys = new Map<string, Account>();
  /** Counts for all addresses that find no place. */
  #others: Account = {};
  #forgetAtMs = 0;

  constructor(limits: Limits, clock: Clock, max = MAX_ADDRESSES) {
    this.limits = limits;
    this.#clock = clock;
    this.#max = max;
  }

  /** Whether anything is limited. */
  get any(): boolean {
    return UNITS.some((unit) => this.limits[unit] !== undefined);
  }

  /** How many addresses are counted. */
  get size(): number {
    return this.#addresses.size;
  }

  /** The units that a client has used up; if there are none, takes a token for the request. */
  take(client: Client): { readonly usedUp: Unit[]; readonly left: Left[] } {
    const account = this.#accountOf(client);
    // A whole token for a request; of FLOPs anything above 0, as nobody knows what the request will cost.
    const usedUp = UNITS.filter((unit) => {
      const tokens = this.#tokens(account, unit);
      return unit === 'requests' ? tokens < 1 - ROUNDING : tokens <= 0;
    });
    if (usedUp.length === 0) this.#charge(account, 'requests', 1);
    return { usedUp, left: this.#left(account) };
  }

  /** Charges what was run for a client. */
  charge(client: Client, flops: number): void {
    this.#charge(this.#accountOf(client), 'flops', flops);
  }

  /** Forgets the accounts of all keys but these. */
  keepKeys(names: readonly string[]): void {
    const kept = new Set(names);
    for (const name of this.#keys.keys()) if (!kept.has(name)) this.#keys.delete(name);
  }

  #charge(account: Account, unit: Unit, tokens: number): void {
    if (this.limits[unit] === undefined) return;
    account[unit] = { tokens: this.#tokens(account, unit) - tokens, atMs: this.#clock.now() };
  }

  /** Infinity for a unit without a limit. */
  #tokens(account: Account, unit: Unit): number {
    const limit = this.limits[unit] ?? Number.POSITIVE_INFINITY;
    const bucket = account[unit];
    if (!bucket) return limit;
    return Math.min(limit, bucket.tokens + ((this.#clock.now() - bucket.atMs) * limit) / WINDOW_MS);
  }

  #left(account: Account): Left[] {
    return UNITS.flatMap((unit) => {
      const limit = this.limits[unit];
      if (limit === undefined) return [];
      const tokens = this.#tokens(account, unit);
      const remaining = Math.max(0, Math.floor(tokens + ROUNDING));
      const missing = remaining + 1 - tokens;
      const moreInS = tokens >= limit ? undefined : Math.max(1, Math.ceil((missing * WINDOW_MS) / limit / 1000));
      return [{ unit, limit, remaining, moreInS }];
    });
  }

  /** When the table is full, no account is dropped: further addresses share one. */
  #accountOf(client: Client): Account {
    if ('key' in client) return getOrInsert(this.#keys, client.key, () => ({}));
    this.#forget();
    const known = this.#addresses.get(client.address);
    if (known) return known;
    if (this.#addresses.size >= this.#max) return this.#others;
    const account = {};
    this.#addresses.set(client.address, account);
    return account;
  }

  /** A full bucket is as good as none. */
  #forget(): void {
    const nowMs = this.#clock.now();
    if (nowMs < this.#forgetAtMs) return;
    this.#forgetAtMs = nowMs + FORGET_MS;
    for (const [address, account] of this.#addresses) if (this.#isFull(account)) this.#addresses.delete(address);
    if (this.#isFull(this.#others)) this.#others = {};
  }

  #isFull(account: Account): boolean {
    return UNITS.every((unit) => this.#tokens(account, unit) >= (this.limits[unit] ?? 0));
  }
}

const WORDS: Record<Unit, { readonly used: string; readonly setting: string; readonly action: string }> = {
  requests: {
    used: 'requests of this client',
    setting: 'QUOTA_PER_MINUTE',
    action: 'send several pictures in one request',
  },
  flops: {
    used: 'FLOPs of what ran for this client',
    setting: 'QUOTA_FLOPS_PER_MINUTE',
    action: 'ask for less by a budget such as cost=0.3',
  },
};

/** The error for a client that has used up quotas, at least one. left: as `take` returned it. */
export function quotaExceeded(usedUp: readonly Unit[], left: readonly Left[]): DimmerError {
  const exceeded = left.filter(({ unit }) => usedUp.includes(unit));
  const each = (text: (one: Left) => string) => exceeded.map(text).join(' and ');
  return new DimmerError('quota-exceeded', {
    detail: `the ${each(({ unit, limit }) => `${WORDS[unit].used} have used up ${limit} a minute`)}`,
    expected: `at most ${each(({ unit, limit }) => `${limit} ${unit === 'flops' ? 'FLOPs' : unit} a minute (${WORDS[unit].setting})`)} for each API key, or for each address without one`,
    action: `try again after the time in Retry-After, or ${each(({ unit }) => WORDS[unit].action)}`,
    retryAfterS: Math.max(1, ...exceeded.map(({ moreInS }) => moreInS ?? 1)),
    // By this name in the draft of the IETF that has the headers (src/http/quota.ts).
    members: { 'violated-policies': [...usedUp] },
  });
}
