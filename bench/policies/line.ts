/** The line y = a x + b. */
export interface Line {
  /** Slope. */
  readonly a: number;
  /** Intercept. */
  readonly b: number;
}

/** Least-squares fit of y = a x + b, with negative a and b set to 0. points: at least two different x. */
export function fitLine(points: readonly { readonly x: number; readonly y: number }[]): Line {
  const n = points.length;
  const [meanX, meanY] = [points.reduce((s, p) => s + p.x, 0) / n, points.reduce((s, p) => s + p.y, 0) / n];
  const covariance = points.reduce((s, p) => s + (p.x - meanX) * (p.y - meanY), 0);
  const variance = points.reduce((s, p) => s + (p.x - meanX) ** 2, 0);
  const a = Math.max(0, covariance / variance);
  return { a, b: Math.max(0, meanY - a * meanX) };
}
