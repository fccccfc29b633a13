/** Pieces of a Markdown page. */
export type Cell = string | number;

const MIN_WIDTH = 3;
/** Columns are filled up so that the text itself can be read, but not beyond this: its lines would be longer than any screen. */
const MOST_FILLED = 60;

/** Every row has as many cells as the head. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const lines = [head, ...rows].map((cells) => cells.map((cell) => String(cell).replaceAll('|', '\\|')));
  const width = (n: number) => Math.max(MIN_WIDTH, ...lines.map((cells) => [...(cells[n] ?? '')].length));
  const widths = head.map((_, n) => Math.min(MOST_FILLED, width(n)));
  const filled = (cell: string, n: number) => cell + ' '.repeat(Math.max(0, (widths[n] as number) - [...cell].length));
  const line = (cells: readonly string[]) => `| ${cells.map(filled).join(' | ')} |`;
  const [first, ...others] = lines as [string[], ...string[][]];
  return [line(first), line(widths.map((width) => '-'.repeat(width))), ...others.map(line)].join('\n');
}

/** Lines within one cell. */
export const stacked = (lines: readonly string[]): string => lines.join('<br>');

/** How GitHub names a heading in links: letters, digits and hyphens. */
export const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\- ]/gu, '')
    .replaceAll(' ', '-');

export const number = (value: number, digits = 1): string => value.toFixed(digits);

/** A share as a percentage, without the sign. */
export const percent = (share: number, digits = 2): string => (100 * share).toFixed(digits);

/** Counts with thousands apart. */
export const count = (value: number): string => value.toLocaleString('en-GB');

/** With its sign, in points: a hundredth of a share. */
export const points = (difference: number, digits = 1): string =>
  `${difference < 0 ? '' : '+'}${(100 * difference).toFixed(digits)}`;

/** "3" or "2 to 5". */
export const range = (values: readonly number[], shown: (value: number) => string): string => {
  const [low, high] = [shown(Math.min(...values)), shown(Math.max(...values))];
  return low === high ? low : `${low} to ${high}`;
};
