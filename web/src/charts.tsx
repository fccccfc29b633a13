/** Charts, drawn as SVG. */
import type { Sample } from './api.ts';
import { glow } from './colours.ts';
import { useWidth } from './hooks.ts';

const HEIGHT = 48;

interface SparkProps {
  /** Values, the latest last; null leaves a gap. */
  readonly values: readonly (number | null)[];
  /** How many values fit into the width. */
  readonly room: number;
  /** Ends of the vertical axis. */
  readonly low?: number;
  readonly high?: number;
  /** Values of a second, dashed line: the promised latency. */
  readonly promise?: readonly (number | null)[];
}

/** A small line chart without axes, hidden from screen readers because the figure is in the text beside it. */
export function Spark({ values, room, low = 0, high, promise = [] }: SparkProps) {
  const [ref, width] = useWidth<HTMLDivElement>(200);
  const all = [...values, ...promise].filter((v) => v !== null);
  const top = high ?? Math.max(...all, low + 1e-9) * 1.1;
  const paths = (line: readonly (number | null)[]) =>
    segments(line, room).map((s) => toPoints(s, { width, low, top, room }));
  return (
    <div class="spark" ref={ref}>
      <svg aria-hidden="true" width={width} height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`}>
        {paths(promise).map((points) => (
          <polyline key={points} class="promise" points={points} />
        ))}
        {paths(values).map((points) => (
          <polyline key={points} class="line" points={points} />
        ))}
      </svg>
    </div>
  );
}

type Placed = readonly [place: number, value: number];

/**
 * Splits a line at its gaps. Each value gets its place, counted from the left; the latest value is at the right end.
 */
function segments(line: readonly (number | null)[], room: number): Placed[][] {
  const found: Placed[][] = [];
  let last: Placed[] = [];
  line.forEach((value, n) => {
    if (value === null) {
      last = [];
      return;
    }
    if (last.length === 0) found.push(last);
    last.push([room - line.length + n, value]);
  });
  return found;
}

function toPoints(
  line: readonly Placed[],
  { width, low, top, room }: { width: number; low: number; top: number; room: number },
): string {
  const point = ([place, value]: Placed) => {
    const x = (place / (room - 1)) * (width - 4) + 2;
    const y = HEIGHT - 3 - ((Math.min(value, top) - low) / (top - low)) * (HEIGHT - 6);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  };
  // A single point would be invisible, so it becomes a short line.
  const points =
    line.length === 1 ? [line[0] as Placed, [(line[0] as Placed)[0] + 0.4, (line[0] as Placed)[1]] as Placed] : line;
  return points.map(point).join(' ');
}

const MIX_HEIGHT = 150;

interface MixProps {
  readonly samples: readonly Sample[];
  readonly room: number;
  /** `family/instance` -> cost in 0..1. */
  readonly shares: ReadonlyMap<string, number>;
}

/** How many pictures each instance answered: one stacked column for each second, the dearest instance on top. */
export function Mix({ samples, room, shares }: MixProps) {
  const [ref, width] = useWidth<HTMLDivElement>(600);
  const most = Math.max(1, ...samples.map((s) => s.pictures));
  const column = width / room;
  return (
    <div ref={ref} class="mix">
      <svg aria-hidden="true" class="axes" width={width} height={MIX_HEIGHT} viewBox={`0 0 ${width} ${MIX_HEIGHT}`}>
        {samples.some((s) => s.pictures > 0) && (
          <text x={0} y={12}>
            {most} pictures
          </text>
        )}
        {samples.map((sample, n) => {
          const x = (room - samples.length + n) * column;
          let y = MIX_HEIGHT;
          const parts = sample.instances
            .map(({ model, instance, pictures }) => ({ key: `${model}/${instance}`, pictures }))
            .sort((a, b) => (shares.get(a.key) ?? 1) - (shares.get(b.key) ?? 1));
          return (
            <g key={sample.second}>
              {parts.map(({ key, pictures }) => {
                const height = (pictures / most) * (MIX_HEIGHT - 4);
                y -= height;
                return (
                  <rect
                    key={key}
                    x={x}
                    y={y}
                    width={Math.max(1, column - 1)}
                    height={height}
                    fill={glow(shares.get(key) ?? 1)}
                  />
                );
              })}
            </g>
          );
        })}
      </svg>
    </div>
  );
}

const LINES_HEIGHT = 180;
const LEFT = 44;
const BOTTOM = 24;

export interface Line {
  readonly name: string;
  readonly values: readonly (number | null)[];
}

interface LinesProps {
  readonly lines: readonly Line[];
  /** Seconds from one value to the next. */
  readonly stepS: number;
  readonly room: number;
  readonly high: number;
  /** Value of a horizontal, dashed line: the promised latency. */
  readonly level: number;
  readonly label: string;
}

/** A chart of several lines over the same time, with axes. */
export function Lines({ lines, stepS, room, high, level, label }: LinesProps) {
  const [ref, width] = useWidth<HTMLDivElement>(600);
  const x = (n: number) => LEFT + (n / (room - 1)) * (width - LEFT - 8);
  const y = (value: number) => LINES_HEIGHT - BOTTOM - (Math.min(value, high) / high) * (LINES_HEIGHT - BOTTOM - 8);
  return (
    <div ref={ref}>
      <svg
        class="lines"
        width={width}
        height={LINES_HEIGHT}
        viewBox={`0 0 ${width} ${LINES_HEIGHT}`}
        role="img"
        aria-label={label}
      >
        <g class="axes">
          {[0, level, high].map((v) => (
            <text key={v} x={LEFT - 6} y={y(v) + 4} text-anchor="end">
              {Math.round(v)}
            </text>
          ))}
          <text x={LEFT} y={LINES_HEIGHT - 6}>
            0 s
          </text>
          <text x={width - 8} y={LINES_HEIGHT - 6} text-anchor="end">
            {Math.round(stepS * (room - 1))} s
          </text>
          <line x1={LEFT} x2={width - 8} y1={y(0)} y2={y(0)} />
        </g>
        <line class="promise" x1={LEFT} x2={width - 8} y1={y(level)} y2={y(level)} />
        {lines.map(({ name, values }, n) => (
          <g key={name} class={`series-${n}`}>
            {segments(values, values.length).map((part) => (
              <polyline key={part[0]?.[0]} points={part.map(([place, value]) => `${x(place)},${y(value)}`).join(' ')} />
            ))}
          </g>
        ))}
      </svg>
    </div>
  );
}
