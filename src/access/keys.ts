/** API keys, kept as a name and a SHA-256 digest each. Where a client puts its key, and whose key it is. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

export const API_KEY_HEADER = 'x-api-key';

export interface NamedKey {
  /** Whose key it is: in the log, in metrics, and for quotas. */
  readonly name: string;
  /** SHA-256 of the key. */
  readonly digest: Buffer;
}

/** Reads one header, or one entry of gRPC metadata, by its name in lower case. */
export type ReadHeader = (name: string) => string | undefined;

/** A name goes into the log and into labels of metrics. */
const NAME = /^[\w.-]{1,64}$/;
const SHA256 = /^[\da-f]{64}$/i;
/** RFC 6750, 2.1. The name of the scheme has no case (RFC 9110, 11.1). */
const BEARER = /^bearer +(\S+) *$/i;

/** Header values are read as latin1, so that turning them back gives the bytes that the client sent. */
const digestOf = (key: string, encoding: 'utf8' | 'latin1'): Buffer =>
  createHash('sha256').update(key, encoding).digest();

const OF_NOTHING = digestOf('', 'utf8');

/**
 * Reads a list of keys: a line `name:sha256` for each, with the digest in hexadecimal digits. Empty lines and lines that
 * begin with # are skipped. A name may have several keys, so that one can take the place of another. Raises Error that
 * names the line but not what is in it, as that may be a key.
 */
export function parseKeys(text: string): NamedKey[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const seen = new Set<string>();
  const keys = lines.flatMap((line, index) => {
    const content = line.trim();
    if (content === '' || content.startsWith('#')) return [];
    const [name = '', sha256 = '', ...more] = content.split(':').map((part) => part.trim());
    const wrong = (what: string) => new Error(`line ${index + 1}: ${what}`);
    if (!NAME.test(name) || more.length > 0)
      throw wrong('expected name:sha256, a name of up to 64 letters, digits, ._-');
    if (!SHA256.test(sha256))
      throw wrong('expected the SHA-256 of the key in 64 hexadecimal digits, not the key itself');
    const digest = Buffer.from(sha256, 'hex');
    if (digest.equals(OF_NOTHING)) throw wrong('this is the SHA-256 of nothing');
    if (seen.has(sha256.toLowerCase())) throw wrong('this key is there already');
    seen.add(sha256.toLowerCase());
    return [{ name, digest }];
  });
  if (keys.length === 0) throw new Error('it holds no key');
  return keys;
}

/** The keys of API_KEYS, which have no names of their own. No name in a file of keys has brackets. */
export const keysOfSetting = (keys: readonly string[]): NamedKey[] =>
  keys.map((key, index) => ({ name: `API_KEYS[${index + 1}]`, digest: digestOf(key, 'utf8') }));

/** The keys that a client presents, as it sent them: X-Api-Key, and Authorization: Bearer. */
export function presentedKeys(header: ReadHeader): string[] {
  const [, token] = BEARER.exec(header('authorization') ?? '') ?? [];
  return [header(API_KEY_HEADER), token].filter((key) => key !== undefined && key !== '') as string[];
}

/** Finds the name of a key in a time that tells nothing about the keys that there are. */
export class KeyRing {
  readonly #secret = randomBytes(32);
  readonly #keys = new Map<string, NamedKey>();

  /** Of equal keys the first counts. */
  constructor(keys: readonly NamedKey[]) {
    for (const key of keys) {
      const place = this.#placeOf(key.digest);
      if (!this.#keys.has(place)) this.#keys.set(place, key);
    }
  }

  get size(): number {
    return this.#keys.size;
  }

  /** Every name once, in the order of the keys. */
  get names(): string[] {
    return [...new Set([...this.#keys.values()].map(({ name }) => name))];
  }

  /** key: as read from a header; undefined if it is not known. */
  nameOf(key: string): string | undefined {
    const digest = digestOf(key, 'latin1');
    const found = this.#keys.get(this.#placeOf(digest));
    return found && timingSafeEqual(found.digest, digest) ? found.name : undefined;
  }

  /**
   * Where a key is kept: a code that a client cannot know, so that the time to look for it says nothing. It takes the
   * same time for ten keys and for ten thousand, which comparing with each of them would not.
   */
  #placeOf(digest: Buffer): string {
    return createHmac('sha256', this.#secret).update(digest).digest('base64');
  }
}
