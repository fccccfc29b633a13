/** Formats numbers for people. */

const significant = (value: number, digits: number) => Number(value.toPrecision(digits));

export const percent = (share: number, digits = 0): string => `${(100 * share).toFixed(digits)} %`;

/** FLOPs with a unit prefix and three significant digits. */
export function flops(value: number): string {
  const [divisor, unit] = value >= 1e9 ? [1e9, 'G'] : value >= 1e6 ? [1e6, 'M'] : [1e3, 'k'];
  return `${significant(value / divisor, 3)} ${unit}FLOPs`;
}

export function ms(value: number): string {
  if (value >= 100) return `${Math.round(value)} ms`;
  return `${value.toFixed(value >= 10 ? 1 : 2)} ms`;
}

export function bytes(value: number): string {
  return value >= 1e6 ? `${(value / 1e6).toFixed(0)} MB` : `${Math.ceil(value / 1e3)} kB`;
}

/** Values for the ticks of an axis: about `count` multiples of a round step (1, 2 or 5 times a power of ten). */
export function ticks(low: number, high: number, count: number): number[] {
  const raw = (high - low) / Math.max(1, count);
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((f) => f * power >= raw) ?? 10) * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, n) => Number(((first + n) * step).toPrecision(6)));
}

/** Quotes a text as one argument of a POSIX shell. */
export const shell = (text: string): string =>
  /^[\w@./:=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
