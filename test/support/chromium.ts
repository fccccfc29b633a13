/** Debian's Chromium, or another of its kind; undefined if there is none. */
import { existsSync } from 'node:fs';

export const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);
/** For `skip`: why there is no browser, or false. */
export const NO_BROWSER = CHROMIUM === undefined && 'there is no Chromium in /usr/bin (apt-get install chromium)';
