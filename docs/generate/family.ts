/** docs/benchmarks/<family>.md: everything that was measured on one family. */
import { MAX_BATCH } from '../../bench/batch-sizes.js';
import { findings } from '../../bench/load/verdict.js';
import type { Table } from '../../bench/virtual/table.js';
import { quantileOf } from '../../src/latency/quantile.js';
import { mean } from '../../src/load/statistics.js';
import { grouped } from './grouped.js';
import { valid } from './load.js';
import { type Cell, count, number, percent, points, range, table } from './markdown.js';
import type { Plot } from './plots.js';
import { commitOf, type Material, type Result } from './results.js';
import { headingOf, section, sectionOf } from './section.js';
import type { Accuracy, Closed, Loaded, Overload, Soak, Spread, Strict, Virtual } from './shapes.js';

type Body = (result: never) => string[];

const sd = (values: readonly number[]) =>
  values.length < 2 ? 0 : Math.sqrt(values.reduce((s, v) => s + (v - mean(values)) ** 2, 0) / (values.length - 1));
const total = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((a, b) => a + b, 0);

/** In the order of the page. */
export const OF_A_FAMILY: Readonly<Record<string, Body>> = {
  virtual,
  load,
  overload,
  strict,
  closed,
  soak,
  accuracy,
};

/** results: of this family. */
export function familyPage(
  family: string,
  results: readonly Result[],
  plots: readonly Plot[],
  material: Material,
): string {
  const own = plots.filter((p) => p.family === family);
  const shown = (kind: Plot['kind']) => own.filter((p) => p.kind === kind).map((p) => `![${p.alt}](${p.file})`);
  const tables = material.tables.filter(({ table: t }) => t.family === family);
  const of = (bench: string) =>
    results
      .filter((r) => r.bench === bench)
      .map((r) => {
        const plot = own.filter((p) => p.file === `${r.name}.svg`);
        const body = [...plot.map((p) => `![${p.alt}](${p.file})`), ...(OF_A_FAMILY[bench] as Body)(r as never)];
        return sectionOf(r, body, material);
      });
  return [
    `# What was measured on ${family}`,
    'All figures behind the answers in [benchmarks.md](../benchmarks.md), made by `npm run benchmarks`. Words such as U, trace\nand best effort are in the [glossary](../glossary.md).',
    ...tables.map(({ file, table: t }) =>
      section(
        {
          heading: headingOf({ bench: 'table', name: family }),
          body: [...shown('frontier'), ...latency(t)],
          result: { ...t.host, ...t, bench: 'table', name: family } as unknown as Result,
          file,
        },
        material,
      ),
    ),
    ...Object.keys(OF_A_FAMILY).flatMap(of),
  ].join('\n\n');
}

function latency({ threads, instances, samples }: Table): string[] {
  const ms = (id: string, size: number) => quantileOf(samples[id]?.[size] ?? [], 0.5) ?? Number.NaN;
  const rows = instances
    .toSorted((a, b) => b.share - a.share)
    .map(({ id, share, accuracy }): Cell[] => [
      `\`${id}\``,
      number(share, 3),
      percent(accuracy),
      ...[1, MAX_BATCH].map((size) => `${number(ms(id, size), 1)} (${number(ms(id, size) / ms('full', size), 2)})`),
      Math.min(...[1, MAX_BATCH].map((size) => samples[id]?.[size]?.length ?? 0)),
    ]);
  return [
    `Each row is one way to run the network. It says what share of the full network's FLOPs it takes, how many test pictures it
gets right, and how long a run of 1 and of ${MAX_BATCH} pictures takes while ${threads} engine threads are busy (median ms), in brackets as a
share of the full network's. Where that is near the share of FLOPs, a cheaper instance is as much faster on this host.`,
    table(['instance', 'share of FLOPs', 'accuracy, %', 'batch 1', `batch ${MAX_BATCH}`, 'n'], rows),
  ];
}

function virtual({ setting, results, contenders, measuredOn }: Virtual): string[] {
  const { cpus, besidesMs, capacityPerMs, deadlineMs, durationMs, seeds, strict: isStrict } = setting;
  const names = results[0]?.rows.map((r) => r.name) ?? [];
  const cell = ({ mean: m, sd: s }: Spread) => `${percent(m)} ± ${percent(s)}`;
  const utility = (name: string) =>
    results.map(({ rows }) => {
      const row = rows.find((r) => r.name === name);
      return row ? cell(row.figures.utility) : '';
    });
  const figures = {
    inTime: 'in time',
    late: 'late',
    expired: 'expired',
    refused: 'refused',
    goodput: 'in time, of load 1',
  } as const;
  const detail = (Object.keys(figures) as (keyof typeof figures)[]).map((figure) => [
    figures[figure],
    ...results.map(({ rows }) => (rows[0] ? cell(rows[0].figures[figure]) : '')),
  ]);
  return [
    `The service's own scheduler, plan and latency model play a trace without a clock: a run takes what the latency table says.
So everybody meets the same arrivals and the same host, and differences are of choices alone. Columns are traces: how
requests arrive, and the load, where 1 is ${number(1000 * capacityPerMs, 0)} pictures a second, what the cheapest instance answers end to end. Rows
are who chooses. A cell is U: the accuracy of what was answered in time, over all arrivals, in %; higher is better.`,
    `${cpus} CPUs, shared by networks, HTTP, decoding and the client, of which ${besidesMs.http}, ${besidesMs.decode} and ${besidesMs.client} ms a picture are assumed; every
picture within ${number(deadlineMs)} ms, ${isStrict ? 'strict' : 'not strict (strict=?0)'}; traces of ${durationMs / 1000} s, mean ± standard deviation of n = ${seeds.length} seeds. A fixed instance is pinned
by every request; rivals with one instance have the fixed one that is best on the trace. All have the service's admission.
The latency table: ${commitOf(measuredOn)}, ${measuredOn.date?.slice(0, 10)}, ${measuredOn.cpu}.`,
    table(
      ['U, %', ...results.map((r) => r.trace)],
      names.map((name) => [name, ...utility(name)]),
    ),
    'What became of the requests with the service itself, in % of arrivals. The last row is what was answered in time as a share\nof what load 1 would be: under overload it says how much of the host still does useful work.',
    table(['', ...results.map((r) => r.trace)], detail),
    `What each rival is, and what had to be decided where its paper or code is silent:\n\n${contenders.map((c) => `- **${c.name}**: ${c.note}`).join('\n')}`,
  ];
}

/** Pictures a second that were load 1, from the least to the most over the traces. */
function loadOne({ capacityPerS, capacities = {} }: Loaded): string {
  const all = Object.values(capacities);
  const shown = range(all.length === 0 ? [capacityPerS] : all, (value) => number(value, 0));
  return all.length === 0 ? shown : `${shown} (measured before each trace)`;
}

function load(result: Loaded): string[] {
  const runs = valid(result);
  const rows = [...grouped(runs, (r) => `${r.trace}|${r.participant}`).values()].map((of): Cell[] => {
    const all = (pick: (s: (typeof of)[number]['summary']) => number) => of.map((r) => pick(r.summary));
    const share = (pick: (s: (typeof of)[number]['summary']) => number) =>
      percent(mean(all((s) => pick(s) / s.arrivals)));
    const [first] = of;
    return [
      first?.trace ?? '',
      first?.participant ?? '',
      of.length,
      `${percent(mean(all((s) => s.uProfiled)))} ± ${percent(sd(all((s) => s.uProfiled)))}`,
      percent(mean(all((s) => s.uMeasured))),
      percent(mean(all((s) => s.attainment))),
      percent(mean(all((s) => s.promiseKept))),
      share((s) => total(s.refused)),
      share((s) => total(s.failed)),
      share((s) => s.late),
      percent(mean(all((s) => s.meanShare))),
      (['p50', 'p99', 'p999'] as const).map((q) => number(mean(all((s) => s.clientMs[q])), 0)).join(' / '),
    ];
  });
  return [
    `A service process and a generator of requests on the same CPUs; labelled pictures over HTTP at the moments that a
trace says, whether or not earlier ones are answered. Load 1 is ${loadOne(result)} pictures a second, what the cheapest
instance answers when as many are offered as a closed loop reaches (${number(result.closedPerS, 0)} a second). Every picture is strict, within
${result.deadlineMs} ms (${result.cheapestRuns} runs of the cheapest instance); ${result.seconds} s a run. Runs in which the generator lagged or the host did other things
do not count: ${result.runs.length - runs.length} of ${result.runs.length}.`,
    `Rows are one participant on one trace: \`dimmer\` is the service, \`fixed:\` one instance alone, \`checkout:\` another version of
the service, the others are ways to choose of other systems. Profiled U takes the accuracy of each instance
from one half of the test pictures, measured U the true labels of the other half, which is sent. In time, refused, failed
and late are % of all arrivals, promises kept % of what was admitted; the cost is % of the full network's FLOPs.`,
    table(
      [
        'trace',
        'who',
        'n',
        'U profiled, %',
        'U measured',
        'in time',
        'promises kept',
        'refused',
        'failed',
        'late',
        'cost',
        'client ms, p50 / p99 / p99.9',
      ],
      rows,
    ),
    'What is demanded of the service, and whether it holds; the last column has the means, and single runs in brackets.',
    table(
      ['', 'demand', 'measured'],
      findings(runs, result.profile.full).map((f) => [f.holds ? 'holds' : '**fails**', f.what, f.detail]),
    ),
  ];
}

function overload({ latencyMs, seconds, services, findings: found }: Overload): string[] {
  const capacities = services.map(({ name, commit, capacityPerS: c }) => [
    name === 'this' ? 'the service' : name,
    commitOf({ commit, command: '' }),
    `${number(c.median, 0)} (${number(c.least, 0)} to ${number(c.most, 0)})`,
  ]);
  return [
    `Requests come at random (Poisson) at a multiple of what the cheapest instance can answer, for ${seconds} s, each within ${latencyMs} ms.
In time is counted as a share of that capacity, measured before and after each run: a service that collapses falls far
below 1. At twice the capacity and beyond, what refusing and the client take is allowed for, so the demand is lower.`,
    table(['service', 'commit', 'capacity, answers a second (least to most)'], capacities),
    'Rows are one demand at one load. The median of the runs is judged.',
    table(
      ['service', 'load', 'requests', 'demand', 'median (least to most)', 'n', 'limit', ''],
      found
        .toSorted((a, b) => a.service.localeCompare(b.service) || a.load - b.load || b.mode.localeCompare(a.mode))
        .map(({ service, load: times, mode, what, figure: f, limit, holds }) => [
          service,
          times,
          mode,
          what,
          `${number(f.median, 3)} (${number(f.least, 3)} to ${number(f.most, 3)})`,
          f.n,
          number(limit, 3),
          holds ? 'holds' : '**fails**',
        ]),
    ),
  ];
}

function strict({ seconds, latencyMs, cheapest, findings: found }: Strict): string[] {
  return [
    `The same arrivals three times: strict requests (within ${latencyMs} ms or refused), the same with \`strict=?0\`, and the cheapest instance
(\`${cheapest}\`) pinned, which is as fast as anything can be. Refusing in time should cost nothing: strict should have as many
in time as the others. Medians of runs of ${seconds} s, and differences run by run.`,
    table(
      ['trace', 'against', 'strict in time, %', 'the other, %', 'differences of pairs, points', 'n', 'allowed', ''],
      found.map(({ trace, against, strict: ours, other, differences: d, margin, holds }) => [
        trace,
        against,
        percent(ours),
        percent(other),
        `${points(d.median, 2)} ± ${percent(d.sd)}`,
        d.n,
        points(-margin),
        holds ? 'holds' : '**fails**',
      ]),
    ),
  ];
}

function closed({ connections, seconds, runs }: Closed): string[] {
  return [
    `${connections} clients on the same CPUs, each asking again as soon as it is answered, for ${seconds} s a run. A row is what all of them ask for: a
budget, or one instance. Answers a second say what the host can do with it, the times what a client waits.`,
    table(
      ['budget or instance', 'n', 'answers/s', 'p50 ms', 'p99 ms', 'p99.9 ms', 'refused'],
      [...grouped(runs, (r) => r.kind)].map(([kind, of]) => {
        const figure = (pick: (r: Closed['runs'][number]) => number) => number(mean(of.map(pick)), 0);
        const rate = of.map((r) => r.answersPerS);
        return [
          kind,
          of.length,
          `${number(mean(rate), 0)} ± ${number(sd(rate), 0)}`,
          figure((r) => r.p50Ms),
          figure((r) => r.p99Ms),
          figure((r) => r.p999Ms),
          figure((r) => r.refused),
        ];
      }),
    ),
  ];
}

function soak({ minutes, load: times, deadlineMs, accounts, memoryPerHour: m }: Soak): string[] {
  const left = Object.entries(accounts.left).map(
    ([when, n]) => `${count(n)} ${when === 'before' ? 'before sending' : `while ${WHEN[when] ?? when}`}`,
  );
  return [
    `${minutes} minutes at ${times} times the capacity, each request within ${deadlineMs} ms, and clients that leave at random moments. A row is one kind
of answer: how many the clients read, and how many the service counted, which may be more by those for clients that had
left.`,
    table(
      ['status', 'reason', 'read by clients', 'counted by the service'],
      accounts.lines.map((l) => [l.status, l.reason, count(l.clients), count(l.service)]),
    ),
    `Not accounted for: ${accounts.wrong.length ? accounts.wrong.join('; ') : 'nothing'}. Clients that left without an answer: ${left.join(', ') || 'none'}; the service counted ${count(accounts.countedForLeft)} answers more than were read.`,
    `Memory after the first two minutes: ${number(m.pssMib.perHour)} ± ${number(m.pssMib.error)} MiB an hour (least squares), of it on the heap ${number(m.heapMib.perHour)} ± ${number(m.heapMib.error)}.`,
  ];
}

const WHEN: Readonly<Record<string, string>> = { upload: 'uploading', waiting: 'waiting' };

function accuracy({ pictures, rows, differences, budget }: Accuracy): string[] {
  const others = differences ?? [];
  const doubtful = others.filter((d) => !d.nearTie).length;
  return [
    `${count(pictures)} test pictures over HTTP${budget ? ` with the budget \`${budget}\`` : ''}, against what training's runtime answers for the same files.
Other answers are allowed where the two best classes are nearly equal (near ties).`,
    table(
      ['instance', 'n', 'right', 'right by the manifest', 'top-1', 'other answers', 'of them near ties'],
      rows.map((r) => [
        `\`${r.instance}\``,
        count(r.n),
        count(r.correct),
        count(r.manifest.correct),
        number(r.top1, 4),
        others.length,
        others.length - doubtful,
      ]),
    ),
  ];
}
