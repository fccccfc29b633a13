/** The plots: few, each for one thing that a table does not show at a glance. */
import { OURS } from '../../bench/load/participants.js';
import { MODES } from '../../bench/overload/verdict.js';
import { quantileOf } from '../../src/latency/quantile.js';
import { type Contest, contests, contestsInVirtualTime, isCheckout, isFixed, isRival } from './load.js';
import { number } from './markdown.js';
import { type Material, resultsOf } from './results.js';
import type { Loaded, Memory, Overload, Virtual } from './shapes.js';
import { bars, chart, places, type Series, scale, ticks } from './svg.js';

export interface Plot {
  /** Within docs/benchmarks. */
  readonly file: string;
  readonly svg: string;
  /** What it shows, in place of the picture. */
  readonly alt: string;
  /** Of the family it is about; none: of several. */
  readonly family?: string;
  readonly kind: 'load' | 'virtual' | 'overload' | 'memory' | 'frontier';
}

const COLOURS = {
  ours: '#1f5fa8',
  full: '#c4551a',
  cheapest: '#2e8b57',
  fixed: '#bdbdbd',
  rival: '#b48ac9',
  before: '#8a6d3b',
} as const;
/** For series without a meaning of their own. */
const OTHERS = ['#1f5fa8', '#c4551a', '#2e8b57', '#8e44ad', '#b8860b', '#17a2b8', '#d4679b', '#555555'];

export const plots = (material: Material): Plot[] => [
  ...resultsOf<Virtual>(material, 'virtual').map(virtualTime),
  ...resultsOf<Loaded>(material, 'load').flatMap((result) => realLoad(result)),
  ...overload(resultsOf<Overload>(material, 'overload')),
  ...memory(resultsOf<Memory>(material, 'memory')),
  ...frontiers(material),
];

/** Traces of even load, by their load: "poisson 0.5" and "overload 1.5" come from one process. */
const EVEN = /^(?:poisson|overload) ([\d.]+)$/;

function virtualTime(result: Virtual & { readonly name: string }): Plot {
  const family = result.family.name;
  const even = contestsInVirtualTime(result)
    .flatMap((contest) => {
      const load = EVEN.exec(contest.trace)?.[1];
      return load === undefined ? [] : [{ load: Number(load), contest }];
    })
    .sort((a, b) => a.load - b.load);
  const names = even[0]?.contest.rows.map((r) => r.name) ?? [];
  const fixed = names.filter(isFixed);
  const at = (contest: Contest, name: string) => contest.rows.find((r) => r.name === name)?.figures.utility;
  const of = (name: string) =>
    even.flatMap(({ load, contest }) => {
      const utility = at(contest, name);
      return utility ? [{ x: load, y: 100 * utility.mean }] : [];
    });
  // The cheapest is where most is asked for the best of the fixed ones.
  const last = even.at(-1)?.contest;
  const u = (name: string) => (last ? (at(last, name)?.mean ?? 0) : 0);
  const fastest = fixed.toSorted((a, b) => u(b) - u(a))[0];
  const series = names.map((name): Series => {
    const base = { points: of(name), line: 1.2, mark: 0 };
    if (name === OURS.name) return { ...base, name, colour: COLOURS.ours, line: 3.5, mark: 4 };
    if (name === 'fixed:full') return { ...base, name: 'full alone', colour: COLOURS.full, line: 2, mark: 3 };
    if (name === fastest)
      return { ...base, name: `${name.replace('fixed:', '')} alone`, colour: COLOURS.cheapest, line: 2, mark: 3 };
    if (isFixed(name)) return { ...base, colour: COLOURS.fixed, line: 1.6 };
    return { ...base, colour: COLOURS.rival, dashed: true };
  });
  const firstOf = (test: (name: string) => boolean) =>
    names.findIndex((n) => test(n) && !series[names.indexOf(n)]?.name);
  const [aFixed, aRival] = [firstOf(isFixed), firstOf(isRival)];
  const labelled = series.map((s, n) =>
    n === aFixed ? { ...s, name: 'other instances alone' } : n === aRival ? { ...s, name: 'other ways to choose' } : s,
  );
  const order = (s: Series) => s.line;
  const values = series.flatMap((s) => s.points.map((p) => p.y));
  const title = `${family}: in time and right, by load (virtual time)`;
  return {
    kind: 'virtual',
    family,
    file: `${result.name}.svg`,
    alt: `${family}: U of the service, of each instance alone and of other ways to choose, from a load of ${even[0]?.load} to ${even.at(-1)?.load}`,
    svg: chart({
      title,
      x: scale(
        'load, as a share of what the cheapest instance can do',
        even.map((e) => e.load),
        0,
      ),
      y: scale('U, %', values, 0),
      series: labelled.toSorted((a, b) => order(a) - order(b)),
    }),
  };
}

function realLoad(result: Loaded & { readonly name: string }): Plot[] {
  const all = contests(result);
  if (all.length === 0) return [];
  const names = [...new Set(all.flatMap((c) => c.rows.map((r) => r.name)))];
  const of = (wanted: (name: string) => boolean, shift: number) =>
    all.flatMap((contest, n) =>
      contest.rows
        .filter((r) => wanted(r.name))
        .map((r) => ({ x: n + shift, y: 100 * r.figures.utility.mean, sd: 100 * r.figures.utility.sd })),
    );
  const kinds = [
    { name: 'other ways to choose', wanted: isRival, colour: COLOURS.rival, shift: 0.15, mark: 3.5 },
    { name: 'one instance alone', wanted: isFixed, colour: COLOURS.full, shift: -0.15, mark: 3.5 },
    { name: 'the version before', wanted: isCheckout, colour: COLOURS.before, shift: 0.3, mark: 4 },
    { name: OURS.name, wanted: (name: string) => name === OURS.name, colour: COLOURS.ours, shift: 0, mark: 5.5 },
  ];
  const series = kinds
    .filter(({ wanted }) => names.some(wanted))
    .map(({ wanted, shift, ...style }): Series => ({ ...style, line: 0, points: of(wanted, shift) }));
  const values = series.flatMap((s) => s.points.flatMap((p) => [p.y - (p.sd ?? 0), p.y + (p.sd ?? 0)]));
  return [
    {
      kind: 'load',
      family: result.model,
      file: `${result.name}.svg`,
      alt: `${result.model}: U on each trace over HTTP, of the service, of one instance alone and of other ways to choose`,
      svg: chart({
        title: `${result.model}: in time and right, by trace (over HTTP)`,
        x: places(
          all.map((c) => c.trace),
          '',
        ),
        y: scale('U, %', values),
        series,
      }),
    },
  ];
}

function overload(results: readonly (Overload & { readonly name: string })[]): Plot[] {
  const lines = results.flatMap((result, n) =>
    MODES.map((mode) => {
      const found = result.findings.filter(
        (f) => f.service === 'this' && f.mode === mode && f.what.startsWith('in time'),
      );
      return {
        name: `${result.name.replace('overload-', '')}, ${mode}`,
        colour: OTHERS[n % OTHERS.length] as string,
        dashed: mode !== MODES[0],
        line: 2,
        mark: 4,
        points: found.map((f) => ({ x: f.load, y: f.figure.median })).sort((a, b) => a.x - b.x),
        limits: found.map((f) => ({ x: f.load, y: f.limit })),
      };
    }),
  );
  const drawn = lines.filter((l) => l.points.length > 0);
  if (drawn.length === 0) return [];
  // Where refusing takes from it the demand differs a little between results: the highest is shown.
  const demanded = new Map<number, number>();
  for (const { x, y } of drawn.flatMap((l) => l.limits)) demanded.set(x, Math.max(y, demanded.get(x) ?? 0));
  const goal = [...demanded].map(([x, y]) => ({ x, y })).sort((a, b) => a.x - b.x);
  const loads = goal.map((p) => p.x);
  return [
    {
      kind: 'overload',
      file: 'overload.svg',
      alt: 'Answers in time as a share of capacity, at several times the capacity, and what is demanded',
      svg: chart({
        title: 'Above capacity: answers in time, as a share of capacity',
        x: {
          ...scale('requests, as a multiple of capacity', loads, 1),
          ticks: loads.map((at) => ({ at, text: String(at) })),
        },
        y: { label: 'in time, share of capacity', low: 0, high: 1.1, ticks: ticks(0, 1) },
        series: [
          ...drawn.map(({ limits: _, ...series }): Series => series),
          { name: 'demanded', colour: '#333333', line: 0, mark: 6, hollow: true, points: goal },
        ],
      }),
    },
  ];
}

/** The allocator of the image. */
const ALLOCATOR = 'jemalloc';

function memory(results: readonly (Memory & { readonly name: string })[]): Plot[] {
  const all = results.flatMap((result) =>
    result.rows
      .filter((r) => r.allocator === ALLOCATOR && !r.name.includes('1 thread'))
      .map((r) => ({
        name: `${result.name.replace('memory-', '')}: ${r.name}${r.instances > 1 ? ` (${r.instances})` : ''}`,
        value: r.restedMib,
        text: `${number(r.restedMib, 0)} MiB`,
        colour: r.weights === 'ordinary' ? COLOURS.full : COLOURS.ours,
      })),
  );
  if (all.length === 0) return [];
  return [
    {
      kind: 'memory',
      file: 'memory.svg',
      alt: 'Memory at rest of one network, of all instances with shared weights, and with ordinary sessions',
      svg: bars('Memory at rest: shared weights (blue), ordinary sessions (orange)', all),
    },
  ];
}

const frontiers = ({ tables }: Material): Plot[] =>
  tables.flatMap(({ table }) => {
    const ms = (id: string) => quantileOf(table.samples[id]?.[1] ?? [], 0.5) ?? Number.NaN;
    const full = table.instances.find((i) => i.share === 1);
    if (!full) return [];
    const by = (share: (i: (typeof table.instances)[number]) => number) =>
      table.instances.map((i) => ({ x: share(i), y: 100 * i.accuracy })).sort((a, b) => a.x - b.x);
    const [flops, time] = [by((i) => i.share), by((i) => ms(i.id) / ms(full.id))];
    return [
      {
        kind: 'frontier' as const,
        family: table.family,
        file: `${table.family}-frontier.svg`,
        alt: `${table.family}: accuracy of each instance by its share of FLOPs and of time`,
        svg: chart({
          title: `${table.family}: what accuracy costs`,
          x: scale(
            'share of the full network',
            [...flops, ...time].map((p) => p.x),
            0,
          ),
          y: scale(
            'right answers, %',
            flops.map((p) => p.y),
          ),
          series: [
            { name: 'by FLOPs', colour: COLOURS.ours, line: 1.5, mark: 4, points: flops },
            { name: 'by time of a run', colour: COLOURS.full, line: 0, mark: 4, hollow: true, points: time },
          ],
        }),
      },
    ];
  });
