/** How far something is, for people who watch: on stderr, and only if it is a terminal. */
import { SingleBar } from 'cli-progress';
import type { Terminal } from './terminal.js';

export interface Bar {
  readonly step: () => void;
  readonly stop: () => void;
}

/** Of so many steps; on this process's stderr, which has to be a terminal. */
export function progressBar(label: string, total: number): Bar {
  const bar = new SingleBar({
    format: `${label} [{bar}] {value}/{total} {eta_formatted} left`,
    stream: process.stderr,
    hideCursor: true,
  });
  bar.start(total, 0);
  return { step: () => bar.increment(), stop: () => bar.stop() };
}

export const NO_BAR: Bar = { step: () => {}, stop: () => {} };

/** Erases what the line has (ECMA-48: EL). */
const CLEAR = '\r\u001b[K';

/** One line that says what goes on; empty text takes it away. */
export function statusLine({ err, watched }: Terminal): (text: string) => void {
  return watched ? (text) => err(`${CLEAR}${text}`) : () => {};
}
