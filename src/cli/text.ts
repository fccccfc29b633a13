/** Text for people: figures, tables, and words from elsewhere that must not steer a terminal. */
import Table from 'cli-table3';

/**
 * Names of files and words of a service may hold anything; control characters among them would move the cursor, change
 * colours or turn the order of letters round.
 */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\ufffd');

const english = new Intl.NumberFormat('en-US');
/** 1,719,472,544 */
export const count = (n: number): string => english.format(n);

/** 0.3093 -> `30.93 %`; `-` for what is not known. */
export const percent = (share: number, digits = 2): string =>
  Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : '-';

/** `-` for what is not known. */
export const number = (value: number | undefined, digits: number): string =>
  value !== undefined && Number.isFinite(value) ? value.toFixed(digits) : '-';

/** No lines, as they are in the way of `grep` and `awk`. */
const PLAIN = { top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '' } as const;
const LINES = { 'bottom-left': '', 'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '' } as const;
const OTHERS = { right: '', 'right-mid': '', middle: '  ' } as const;

export interface Column {
  readonly head?: string;
  readonly right?: boolean;
}

/** Columns are as wide as they need to be. Without heads there is no line for them. */
export function tableText(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const table = new Table({
    head: columns.flatMap(({ head }) => head ?? []),
    colAligns: columns.map(({ right }) => (right ? 'right' : 'left')),
    chars: { ...PLAIN, ...LINES, ...OTHERS },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows) table.push(row.map(printable));
  const lines = table.toString().split('\n');
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}
