/** Colours for costs, from blue (cheap) to amber (the full network), as RGB. Distinguishable in light and dark mode. */
const STOPS = [
  [63, 102, 184],
  [47, 140, 176],
  [50, 160, 125],
  [134, 170, 70],
  [214, 160, 40],
  [232, 120, 40],
] as const;

/** Colour for a cost t, from 0 (cheapest) to 1 (the full network), as CSS. */
export function glow(t: number): string {
  const place = Math.min(1, Math.max(0, t)) * (STOPS.length - 1);
  const low = Math.min(STOPS.length - 2, Math.floor(place));
  const mix = (n: 0 | 1 | 2) => {
    const [a, b] = [STOPS[low] as readonly number[], STOPS[low + 1] as readonly number[]];
    return Math.round((a[n] as number) + ((b[n] as number) - (a[n] as number)) * (place - low));
  };
  return `rgb(${mix(0)} ${mix(1)} ${mix(2)})`;
}

/** Colours for things without an order, such as the labels of a sweep; the last one is for all further things. */
const OTHERS = ['#4477aa', '#ee6677', '#228833', '#ccbb44', '#66ccee', '#aa3377', '#888888'];
export const distinct = (place: number): string => OTHERS[Math.min(place, OTHERS.length - 1)] as string;
