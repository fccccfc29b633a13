/** Reads API_KEYS_FILE, and reads it again when it has changed. */
import { open } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import type { Logger } from 'pino';
import { messageOf, StartError } from '../errors.js';
import type { Clock } from '../scheduler/clock.js';
import { type NamedKey, parseKeys } from './keys.js';

/**
 * How often the file is read: for so long a key that was taken out is still good. The text is compared, and the file is
 * not watched: Kubernetes replaces a link in the path and not the file, and some file systems report no changes.
 */
export const CHECK_MS = 1000;
/** Room for ten thousand keys with long names; a file of any size must not fill the memory. */
const MOST_BYTES = 1024 * 1024;

/** The file's text and its keys. Raises StartError if it cannot be used. */
export async function readKeysFile(path: string): Promise<{ readonly text: string; readonly keys: NamedKey[] }> {
  try {
    const text = await textOf(path);
    return { text, keys: parseKeys(text) };
  } catch (error) {
    throw new StartError(`API_KEYS_FILE=${path} cannot be used: ${messageOf(error)}`);
  }
}

export class KeysFile {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onKeys: (keys: readonly NamedKey[]) => void;
  /** What the file held when it was last looked at, or why it could not be read: each is reported once. */
  #seen: string;
  #cancel = () => {};
  #closed = false;

  /** text: what the file held when its keys were taken. onKeys: called with the keys of each new text. */
  constructor(path: string, text: string, clock: Clock, logger: Logger, onKeys: (keys: readonly NamedKey[]) => void) {
    this.#path = path;
    this.#seen = text;
    this.#clock = clock;
    this.#logger = logger;
    this.#onKeys = onKeys;
    this.#checkLater();
  }

  /** Takes the file's keys if it has changed. One that cannot be used is reported, and the keys stay as they are. */
  async check(): Promise<void> {
    let found: string;
    try {
      found = await textOf(this.#path);
    } catch (error) {
      found = messageOf(error);
      if (found !== this.#seen) this.#refuse(found);
      this.#seen = found;
      return;
    }
    if (found === this.#seen || this.#closed) return;
    this.#seen = found;
    try {
      const keys = parseKeys(found);
      this.#onKeys(keys);
      this.#logger.info({ keys: keys.length }, 'API_KEYS_FILE has changed, its keys count from now on');
    } catch (error) {
      this.#refuse(messageOf(error));
    }
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #refuse(reason: string): void {
    this.#logger.error({ reason }, 'API_KEYS_FILE has changed and cannot be used, so the keys from before still count');
  }

  #checkLater(): void {
    this.#cancel = this.#clock.after(CHECK_MS, () => {
      void this.check().finally(() => this.#closed || this.#checkLater());
    });
  }
}

/** Raises the file system's errors, and Error for a file that is too large. */
async function textOf(path: string): Promise<string> {
  const file = await open(path);
  try {
    // Not by its size, which devices and pipes do not have.
    const bytes = await buffer(file.createReadStream({ end: MOST_BYTES, autoClose: false }));
    if (bytes.length > MOST_BYTES) throw new Error(`it has more than ${MOST_BYTES} bytes`);
    return bytes.toString();
  } finally {
    await file.close();
  }
}
