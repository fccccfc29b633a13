/** Charts as SVG: lines, points and bars with axes and a legend. Pure: the same figures give the same bytes. */

export interface Point {
  readonly x: number;
  readonly y: number;
  /** Half the length of its error bar. */
  readonly sd?: number;
}

export interface Series {
  /** In the legend; none: not there. */
  readonly name?: string;
  readonly colour: string;
  readonly points: readonly Point[];
  /** Of the line between the points, in pixels; 0: points only. */
  readonly line: number;
  /** Radius of the points, in pixels; 0: a line only. */
  readonly mark: number;
  readonly dashed?: boolean;
  readonly hollow?: boolean;
}

interface Tick {
  readonly at: number;
  readonly text: string;
}

export interface Axis {
  readonly label: string;
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly Tick[];
  /** Long texts of ticks, written aslant. */
  readonly aslant?: boolean;
}

export interface Chart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

const SIZE = { width: 860, height: 380 };
const MARGIN = { left: 64, right: 240, top: 40, bottom: 52 };
/** For texts that stand aslant. */
const MORE_BELOW = 46;
const INK = '#333333';
const GRID = '#e4e4e4';
const LEGEND_STEP = 20;

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const px = (value: number) => value.toFixed(1);

interface Written {
  readonly x: number;
  readonly y: number;
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly turn?: number;
  readonly size?: number;
}

function written(text: string, { x, y, anchor = 'start', turn, size = 12 }: Written): string {
  const turned = turn === undefined ? '' : ` transform="rotate(${turn} ${px(x)} ${px(y)})"`;
  return `<text x="${px(x)}" y="${px(y)}" text-anchor="${anchor}" font-size="${size}"${turned}>${escaped(text)}</text>`;
}

const line = (from: readonly [number, number], to: readonly [number, number], style: string) =>
  `<line x1="${px(from[0])}" y1="${px(from[1])}" x2="${px(to[0])}" y2="${px(to[1])}" ${style}/>`;

/** On white, so that it can be read on a dark page as well. */
function picture(title: string, height: number, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${height}" width="${SIZE.width}" height="${height}" role="img" font-family="sans-serif" fill="${INK}">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${SIZE.width}" height="${height}" fill="#ffffff"/>`,
    written(title, { x: MARGIN.left, y: 22, size: 14 }),
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

/** Even steps of 1, 2 or 5 times a power of ten, about `wanted` of them. */
export function ticks(low: number, high: number, wanted = 6): Tick[] {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((s) => s * power >= rough) as number);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  const first = Math.ceil(low / step - 1e-9);
  const n = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: n }, (_, k) => ({ at: (first + k) * step, text: ((first + k) * step).toFixed(digits) }));
}

/** Values as places 0, 1, 2... with their names below. */
export const places = (names: readonly string[], label: string): Axis => ({
  label,
  low: -0.5,
  high: names.length - 0.5,
  ticks: names.map((text, at) => ({ at, text })),
  aslant: true,
});

/** From 0 or a little below the least value to a little above the greatest. */
export function scale(label: string, values: readonly number[], from?: number): Axis {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = 0.05 * (most - (from ?? least) || 1);
  const [low, high] = [from ?? least - room, most + room];
  return { label, low, high, ticks: ticks(low, high) };
}

export function chart({ title, x, y, series }: Chart): string {
  const height = SIZE.height + (x.aslant ? MORE_BELOW : 0);
  const [right, bottom] = [SIZE.width - MARGIN.right, height - MARGIN.bottom - (x.aslant ? MORE_BELOW : 0)];
  const toX = (value: number) => MARGIN.left + ((value - x.low) / (x.high - x.low)) * (right - MARGIN.left);
  const toY = (value: number) => bottom - ((value - y.low) / (y.high - y.low)) * (bottom - MARGIN.top);
  const grid = [
    ...y.ticks.flatMap(({ at, text }) => [
      line([MARGIN.left, toY(at)], [right, toY(at)], `stroke="${GRID}"`),
      written(text, { x: MARGIN.left - 8, y: toY(at) + 4, anchor: 'end' }),
    ]),
    ...x.ticks.flatMap(({ at, text }) => [
      line([toX(at), MARGIN.top], [toX(at), bottom], `stroke="${GRID}"`),
      x.aslant
        ? written(text, { x: toX(at) + 4, y: bottom + 16, anchor: 'end', turn: -30 })
        : written(text, { x: toX(at), y: bottom + 18, anchor: 'middle' }),
    ]),
    line([MARGIN.left, bottom], [right, bottom], `stroke="${INK}"`),
    written(x.label, { x: (MARGIN.left + right) / 2, y: height - 12, anchor: 'middle' }),
    written(y.label, { x: 16, y: (MARGIN.top + bottom) / 2, anchor: 'middle', turn: -90 }),
  ];
  const drawn = series.flatMap((s) => marks(s, toX, toY));
  const named = series.filter((s) => s.name !== undefined);
  const legend = named.flatMap((s, n) => {
    const at = { x: right + 16, y: MARGIN.top + LEGEND_STEP * n + 8 };
    const sample = {
      ...s,
      points: [
        ...(s.line ? [{ x: at.x, y: at.y }] : []),
        { x: at.x + 12, y: at.y },
        ...(s.line ? [{ x: at.x + 24, y: at.y }] : []),
      ],
    };
    const same = (value: number) => value;
    return [...marks(sample, same, same), written(s.name as string, { x: at.x + 32, y: at.y + 4 })];
  });
  return picture(title, height, [...grid, ...drawn, ...legend]);
}

type Place = (value: number) => number;

function marks({ points, colour, line: width, mark, dashed, hollow }: Series, toX: Place, toY: Place): string[] {
  const path = points.map((p) => `${px(toX(p.x))},${px(toY(p.y))}`).join(' ');
  const dashes = dashed ? ' stroke-dasharray="6 4"' : '';
  const stroke = `stroke="${colour}"`;
  return [
    ...(width > 0 && points.length > 1
      ? [`<polyline points="${path}" fill="none" ${stroke} stroke-width="${width}"${dashes}/>`]
      : []),
    ...points.flatMap((p) =>
      p.sd ? [line([toX(p.x), toY(p.y - p.sd)], [toX(p.x), toY(p.y + p.sd)], `${stroke} stroke-width="1.5"`)] : [],
    ),
    ...(mark > 0
      ? points.map(
          (p) =>
            `<circle cx="${px(toX(p.x))}" cy="${px(toY(p.y))}" r="${mark}" fill="${hollow ? '#ffffff' : colour}" ${stroke}/>`,
        )
      : []),
  ];
}

export interface Bar {
  readonly name: string;
  readonly value: number;
  readonly colour: string;
  /** Behind the bar. */
  readonly text: string;
}

const BAR = { height: 18, step: 26, left: 250 };

/** Lying bars from 0, one below another. */
export function bars(title: string, all: readonly Bar[]): string {
  const most = Math.max(...all.map((b) => b.value));
  const right = SIZE.width - 110;
  const toX = (value: number) => BAR.left + (value / most) * (right - BAR.left);
  const drawn = all.flatMap(({ name, value, colour, text }, n) => {
    const top = MARGIN.top + BAR.step * n;
    return [
      written(name, { x: BAR.left - 8, y: top + 13, anchor: 'end' }),
      `<rect x="${px(BAR.left)}" y="${px(top)}" width="${px(toX(value) - BAR.left)}" height="${BAR.height}" fill="${colour}"/>`,
      written(text, { x: toX(value) + 6, y: top + 13 }),
    ];
  });
  return picture(title, MARGIN.top + BAR.step * all.length + 10, drawn);
}
