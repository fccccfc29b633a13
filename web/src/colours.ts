/** From dim to bright: what costs little is blue, what costs all is amber. Told apart in light and in dark. */
const STOPS = [
  [63, 102, 184],
  [47, 140, 176],
  [50, 160, 125],
  [134, 170, 70],
  [214, 160, 40],
  [232, 120, 40],
] as const;

/** t: 0 the cheapest, 1 the dearest. */
export function glow(t: number): string {
  const place = Math.min(1, Math.max(0, t)) * (STOPS.length - 1);
  const low = Math.min(STOPS.length - 2, Math.floor(place));
  const mix = (n: 0 | 1 | 2) => {
    const [a, b] = [STOPS[low] as readonly number[], STOPS[low + 1] as readonly number[]];
    return Math.round((a[n] as number) + ((b[n] as number) - (a[n] as number)) * (place - low));
  };
  return `rgb(${mix(0)} ${mix(1)} ${mix(2)})`;
}

/** For things without an order: labels of a sweep. */
const OTHERS = ['#4477aa', '#ee6677', '#228833', '#ccbb44', '#66ccee', '#aa3377', '#888888'];
export const distinct = (place: number): string => OTHERS[Math.min(place, OTHERS.length - 1)] as string;
