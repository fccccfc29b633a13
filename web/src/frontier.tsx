/** Chart of accuracy over cost for every instance of a family, with the frontier and the instance that answered. */
import type { Instance, Model } from './api.ts';
import { bounds, fullOf, type Wish } from './budget.ts';
import { glow } from './colours.ts';
import { percent, ticks } from './format.ts';
import { useWidth } from './hooks.ts';

const HEIGHT = 260;
const MARGIN = { left: 52, right: 14, top: 26, bottom: 40 };

interface Props {
  readonly model: Model;
  /** Id of the instance that gave the last answer. */
  readonly chosen?: string | undefined;
  /** The budget, whose forbidden area is shaded. */
  readonly wish?: Wish | undefined;
}

export function Frontier({ model, chosen, wish }: Props) {
  const [ref, width] = useWidth<HTMLDivElement>(560);
  const { instances } = model;
  const low = Math.min(...instances.map((i) => i.interval[0]));
  const high = Math.max(...instances.map((i) => i.interval[1]));
  const pad = 0.06 * (high - low) || 0.01;
  const [bottom, top] = [Math.max(0, low - pad), Math.min(1, high + pad)];
  const x = (share: number) => MARGIN.left + share * (width - MARGIN.left - MARGIN.right);
  const y = (accuracy: number) =>
    HEIGHT - MARGIN.bottom - ((accuracy - bottom) / (top - bottom)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const frontier = instances.filter((i) => i.frontier);
  const found = instances.find((i) => i.id === chosen);
  const others = instances.filter((i) => !i.frontier && i.id !== chosen);
  return (
    <figure class="chart" ref={ref}>
      <svg
        width={width}
        height={HEIGHT}
        viewBox={`0 0 ${width} ${HEIGHT}`}
        role="img"
        aria-label={inWords(model, found)}
      >
        <Axes {...{ x, y, width, bottom, top }} />
        {wish && <Bound {...{ x, y, width, bottom, top, wish, model }} />}
        <polyline class="line" points={frontier.map((i) => `${x(i.share)},${y(i.accuracy)}`).join(' ')} />
        {others.map((i) => (
          <Point key={i.id} {...{ x, y }} instance={i} kind="other" />
        ))}
        {frontier.map((i) => (
          <Point key={i.id} {...{ x, y }} instance={i} kind="frontier" />
        ))}
        {found && <Point {...{ x, y }} instance={found} kind="chosen" />}
      </svg>
      <figcaption class="legend">
        <span>
          <Key kind="frontier" /> worth choosing, with 95 % interval
        </span>
        <span>
          <Key kind="other" /> others
        </span>
        {chosen && (
          <span>
            <Key kind="chosen" /> ran
          </span>
        )}
      </figcaption>
    </figure>
  );
}

interface Scales {
  x(share: number): number;
  y(accuracy: number): number;
}

type PointKind = 'frontier' | 'other' | 'chosen';

function Point({ x, y, instance, kind }: Scales & { instance: Instance; kind: PointKind }) {
  const { id, share, top1, accuracy, interval } = instance;
  const [cx, cy] = [x(share), y(accuracy)];
  return (
    <g class={`point ${kind}`}>
      <title>{`${id}: ${percent(share, 1)} of the cost, top-1 ${percent(top1, 1)}`}</title>
      {kind !== 'other' && <line x1={cx} x2={cx} y1={y(interval[0])} y2={y(interval[1])} />}
      {kind === 'chosen' && <circle class="halo" cx={cx} cy={cy} r={12} />}
      <circle
        cx={cx}
        cy={cy}
        r={kind === 'chosen' ? 7 : kind === 'frontier' ? 4.5 : 3}
        fill={kind === 'other' ? 'none' : glow(share)}
      />
    </g>
  );
}

function Key({ kind }: { kind: PointKind }) {
  return (
    <svg class="key" width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">
      <g class={`point ${kind}`}>
        <circle
          cx="7"
          cy="7"
          r={kind === 'other' ? 3 : kind === 'frontier' ? 4.5 : 6}
          fill={kind === 'other' ? 'none' : glow(0.8)}
        />
      </g>
    </svg>
  );
}

type Box = Scales & { width: number; bottom: number; top: number };

function Axes({ x, y, width, bottom, top }: Box) {
  const right = width - MARGIN.right;
  return (
    <g class="axes">
      {ticks(bottom, top, 5).map((t) => (
        <g key={t}>
          <line x1={MARGIN.left} x2={right} y1={y(t)} y2={y(t)} />
          <text x={MARGIN.left - 8} y={y(t) + 4} text-anchor="end">
            {percent(t, top - bottom < 0.06 ? 1 : 0)}
          </text>
        </g>
      ))}
      {ticks(0, 1, width > 420 ? 10 : 5).map((t) => (
        <text key={t} x={x(t)} y={HEIGHT - MARGIN.bottom + 16} text-anchor="middle">
          {Math.round(100 * t)}
        </text>
      ))}
      <text x={(MARGIN.left + right) / 2} y={HEIGHT - 6} text-anchor="middle">
        cost, % of the full network
      </text>
      <text x={4} y={12}>
        top-1 accuracy
      </text>
    </g>
  );
}

/** Shades the area of costs and accuracies that the budget forbids. */
function Bound({ x, y, width, bottom, top, wish, model }: Box & { wish: Wish; model: Model }) {
  const full = fullOf(model);
  const cost = bounds(wish, 'cost');
  const flops = bounds(wish, 'flops');
  const most = Math.min(cost ?? 1, flops === undefined ? 1 : flops / full.flops, 1);
  const least = Math.min(top, Math.max(bottom, bounds(wish, 'accuracy') ?? bottom));
  const right = width - MARGIN.right;
  return (
    <g class="forbidden">
      {most < 1 && <rect x={x(most)} y={y(top)} width={Math.max(0, right - x(most))} height={y(bottom) - y(top)} />}
      {least > bottom && (
        <rect x={MARGIN.left} y={y(least)} width={Math.max(0, x(most) - MARGIN.left)} height={y(bottom) - y(least)} />
      )}
    </g>
  );
}

/** The chart as text, for screen readers. */
function inWords(model: Model, chosen: Instance | undefined): string {
  const frontier = model.instances.filter((i) => i.frontier);
  const say = (i: Instance) => `${percent(i.top1, 1)} right for ${percent(i.share)} of the cost`;
  const [cheapest, dearest] = [frontier[0], frontier.at(-1)];
  const range = cheapest && dearest ? `from ${say(cheapest)} to ${say(dearest)}` : '';
  return `Accuracy over cost of ${model.instances.length} instances of ${model.name}, ${range}.${chosen ? ` ${chosen.id} ran: ${say(chosen)}.` : ''}`;
}
