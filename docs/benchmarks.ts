/**
 * Makes docs/benchmarks.md, and the figures of README.md, from the JSON in bench/results: npm run benchmarks
 * Every figure in the page comes from there; what was not measured is said to be missing.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findings, isVoid, type Run } from '../bench/load/verdict.js';
import type { Finding } from '../bench/overload/verdict.js';
import type { Figures } from '../bench/virtual/summary.js';
import { readTable } from '../bench/virtual/table.js';
import { loadFamilies } from '../src/family/load.js';
import { quantile } from '../src/latency/quantile.js';
import { MAX_BATCH } from '../src/plan/snapshot.js';
import { type Memory, memory, type Ready, ready, type Sessions, sessions } from './benchmarks-memory.js';
import { withFigures } from './figures.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FAMILIES = ['cifar10', 'imagenet1k'] as const;
/** Version by name. */
const SHIPPED = new Map((await loadFamilies(`${ROOT}/models`)).map(({ name, version }) => [name, version]));

interface Circumstances {
  readonly command: string;
  readonly commit: string;
  readonly date: string;
  readonly node: string;
  readonly cpu: string;
  readonly cpus: number;
}
interface Spread {
  readonly mean: number;
  readonly sd: number;
}
interface Loaded extends Circumstances {
  readonly capacityPerS: number;
  readonly closedPerS: number;
  /** By trace: what capacityPerS was before it. Results of before that was measured have none. */
  readonly capacities?: Record<string, number>;
  readonly deadlineMs: number;
  readonly cheapestRuns: number;
  readonly seconds: number;
  /** Accuracy of each instance on one half of the test pictures. */
  readonly profile: { readonly full: number };
  readonly runs: Run[];
}

/** Pictures a second that were load 1, from the least to the most over the traces. */
function loadOne({ capacityPerS, capacities = {} }: Loaded): string {
  const all = Object.values(capacities);
  if (all.length === 0) return number(capacityPerS, 0);
  return `${number(Math.min(...all), 0)} to ${number(Math.max(...all), 0)} (measured before each trace)`;
}

function read<T>(name: string): (T & Circumstances) | undefined {
  const path = `${ROOT}/bench/results/${name}.json`;
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as T & Circumstances) : undefined;
}

const table = (head: readonly string[], rows: readonly (readonly (string | number)[])[]) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
const percent = (share: number) => (100 * share).toFixed(2);
const number = (value: number, digits = 1) => value.toFixed(digits);
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const sd = (values: readonly number[]) =>
  values.length < 2 ? 0 : Math.sqrt(values.reduce((s, v) => s + (v - mean(values)) ** 2, 0) / (values.length - 1));

/** Where a result comes from, under its table. Benches in Python note the versions that they ran with. */
const origin = (result: Circumstances & { versions?: Record<string, string> }) => {
  const { command, commit, date, node, cpu, cpus, versions } = result;
  const of = `\`${command}\`, commit ${commit.slice(0, 12)}${commit.includes('uncommitted') ? ' and changes' : ''}`;
  return versions
    ? `${of}, ${Object.entries(versions)
        .map((pair) => pair.join(' '))
        .join(', ')}.`
    : `${of}, ${date.slice(0, 10)}, ${cpus} CPUs (${cpu}), Node ${node}.`;
};

/** A result's family, as the benches note it; those that no family changes note none. */
interface Measured {
  readonly family?: string | { readonly name: string; readonly version: string };
  readonly version?: string;
  readonly model?: string;
  readonly modelVersion?: string;
}

/** Said of a result on a family that was exported anew since. */
function outdated({ family, version, model, modelVersion }: Measured): string[] {
  const of = typeof family === 'object' ? family : { name: family ?? model ?? '', version: version ?? modelVersion };
  const now = SHIPPED.get(of.name);
  if (of.version === undefined || now === undefined || now === of.version) return [];
  return [`Measured on version \`${of.version}\` of the family; \`models/${of.name}\` is \`${now}\` by now.`];
}

const section = <T>(title: string, name: string, text: (result: T & Circumstances) => string[]) => {
  const result = read<T>(name);
  const body = result
    ? [...text(result), ...outdated(result as Measured), origin(result)]
    : [`Not measured: \`bench/results/${name}.json\` is missing.`];
  return [`## ${title}`, ...body].join('\n\n');
};

function load(result: Loaded): string[] {
  const valid = result.runs.filter((r) => !isVoid(r));
  const groups = new Map<string, Run[]>();
  for (const run of valid) {
    const key = `${run.trace}|${run.participant}`;
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  const total = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0);
  const rows = [...groups.values()].map((runs) => {
    const { trace, participant } = runs[0] as Run;
    const of = (pick: (s: Run['summary']) => number) => runs.map((r) => pick(r.summary));
    const share = (pick: (s: Run['summary']) => number) => percent(mean(of((s) => pick(s) / s.arrivals)));
    return [
      trace,
      participant,
      runs.length,
      `${percent(mean(of((s) => s.uProfiled)))} ± ${percent(sd(of((s) => s.uProfiled)))}`,
      percent(mean(of((s) => s.uMeasured))),
      percent(mean(of((s) => s.attainment))),
      percent(mean(of((s) => s.promiseKept))),
      share((s) => total(s.refused)),
      share((s) => total(s.failed)),
      share((s) => s.late),
      percent(mean(of((s) => s.meanShare))),
      (['p50', 'p99', 'p999'] as const).map((q) => number(mean(of((s) => s.clientMs[q])), 0)).join(' / '),
    ];
  });
  return [
    `A service process and an open-loop generator on the same ${result.cpus} CPUs; labelled pictures over HTTP, each within ${result.deadlineMs} ms
(${result.cheapestRuns} runs of the cheapest instance). Load 1 is ${loadOne(result)} pictures/s, what the cheapest instance answers when as many are
offered as a closed loop reaches (${number(result.closedPerS, 0)}/s); reading, decoding and answering take of it, and so does the generator.
${result.seconds} s a run. Profiled U counts the accuracy of each instance on one half of
the test pictures, measured U the true labels of the other half, which is sent.`,
    table(
      [
        'trace',
        'who',
        'runs',
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
    `Void, and not counted: ${result.runs.length - valid.length} of ${result.runs.length} runs, in which the generator lagged or the host did other things as well.`,
    'What should hold, and whether it does:',
    table(
      ['', '', ''],
      findings(valid, result.profile.full).map((f) => [f.holds ? 'holds' : '**fails**', f.what, f.detail]),
    ),
  ];
}

interface Virtual extends Circumstances {
  readonly measuredOn: Circumstances;
  readonly setting: {
    cpus: number;
    besidesMs: { client: number; http: number; decode: number };
    capacityPerMs: number;
    deadlineMs: number;
    durationMs: number;
    seeds: number[];
    strict: boolean;
  };
  readonly contenders: { name: string; note: string }[];
  readonly results: { trace: string; rows: { name: string; figures: Record<keyof Figures, Spread> }[] }[];
  readonly lost: { trace: string; rival: string; by: number }[];
}

function virtual({ setting, results, contenders, lost, measuredOn }: Virtual): string[] {
  const { cpus, besidesMs, capacityPerMs, deadlineMs, durationMs, seeds, strict } = setting;
  const names = results[0]?.rows.map((r) => r.name) ?? [];
  const cell = ({ mean, sd }: Spread) => `${percent(mean)} ± ${percent(sd)}`;
  const utility = (name: string) =>
    results.map(({ rows }) => {
      const row = rows.find((r) => r.name === name);
      return row ? cell(row.figures.utility) : '';
    });
  const detail = (['inTime', 'late', 'expired', 'refused', 'goodput'] as const).map((figure) => [
    { inTime: 'in time', goodput: 'in time, of load 1', late: 'late', expired: 'expired', refused: 'refused' }[figure],
    ...results.map(({ rows }) => cell(rows[0]?.figures[figure] as Spread)),
  ]);
  return [
    `The service's own scheduler, plan and latency model in virtual time, on ${cpus} CPUs that networks share with HTTP, decoding and
the client, of which ${besidesMs.http}, ${besidesMs.decode} and ${besidesMs.client} ms a picture are assumed. Runs take what was measured on a real host: ${origin(measuredOn)}
U is the mean accuracy of what was answered in time, over all arrivals, in %. Load 1 is ${number(1000 * capacityPerMs, 0)} pictures/s, what the
cheapest instance answers end to end; every picture within ${number(deadlineMs)} ms, ${strict ? 'strict' : 'not strict (strict=?0)'}; traces of ${durationMs / 1000} s, mean ± standard deviation
of ${seeds.length} seeds. Requests pin a fixed instance; rivals with one instance run on the fixed one that is best on the trace. All
have the service's admission.`,
    table(
      ['U, %', ...results.map((r) => r.trace)],
      names.map((name) => [name, ...utility(name)]),
    ),
    'dimmer in detail, % of arrivals (the last row: of what load 1 would be):',
    table(['', ...results.map((r) => r.trace)], detail),
    `More than 0.2 points above dimmer: ${lost.map((l) => `${l.rival} on ${l.trace} by ${percent(l.by)}`).join(', ') || 'none'}.`,
    `What each rival is, and what we had to decide:\n\n${contenders.map((c) => `- **${c.name}**: ${c.note}`).join('\n')}`,
  ];
}

interface Preprocessing {
  readonly n: number;
  readonly shorterSide: number;
  readonly quality: number;
  readonly correct: Record<'pytorch' | 'shrinkOnLoad' | 'whole', number>;
  readonly ways: Record<
    'shrinkOnLoad' | 'whole',
    { differ: number; logProbability: Record<'mean' | 'medianOfLargest' | 'largest', number> }
  >;
}

const preprocessing = ({ n, shorterSide, quality, correct, ways }: Preprocessing): string[] => [
  `${n} photographs enlarged to ${shorterSide} pixels (shorter side), JPEG of quality ${quality}; \`full\` through HTTP against PyTorch with training's own
resizing, which has ${correct.pytorch} right. Differences are of log probabilities, which are logits up to a constant.`,
  table(
    ['', 'other answers', 'right', 'mean difference', 'largest, median picture', 'largest of all'],
    (['shrinkOnLoad', 'whole'] as const).map((way) => [
      way === 'shrinkOnLoad' ? 'JPEG, shrink-on-load' : 'the same pixels as PNG, read whole',
      `${ways[way].differ} of ${n}`,
      correct[way],
      ...Object.values(ways[way].logProbability),
    ]),
  ),
];

/** The latency table that virtual time runs on. */
function latency(family: string): string {
  const path = `${ROOT}/bench/virtual/tables/${family}.json`;
  const title = `## Latency by instance: ${family}`;
  if (!existsSync(path)) return `${title}\n\nNot measured: \`bench/virtual/tables/${family}.json\` is missing.`;
  const measured = readTable(path);
  const { threads, host, instances, samples } = measured;
  const ms = (id: string, size: number) => quantile(samples[id]?.[size] ?? [], 0.5) ?? Number.NaN;
  const rows = instances
    .toSorted((a, b) => b.share - a.share)
    .map(({ id, share, accuracy }) => [
      `\`${id}\``,
      number(share, 3),
      percent(accuracy),
      ...[1, MAX_BATCH].map((size) => `${number(ms(id, size), 1)} (${number(ms(id, size) / ms('full', size), 2)})`),
    ]);
  return [
    title,
    `Median ms of a run while ${threads} engine threads are busy, and in brackets its share of the full instance's.`,
    table(['instance', 'share of FLOPs', 'accuracy, %', 'batch 1', `batch ${MAX_BATCH}`], rows),
    ...outdated(measured),
    origin(host as unknown as Circumstances),
  ].join('\n\n');
}

interface Closed {
  readonly connections: number;
  readonly seconds: number;
  readonly runs: { kind: string; answersPerS: number; p50Ms: number; p99Ms: number; p999Ms: number; refused: number }[];
}

function closed({ connections, seconds, runs }: Closed): string[] {
  const kinds = [...new Set(runs.map((r) => r.kind))];
  return [
    `${connections} connections, each with one picture at a time, ${seconds} s a run (autocannon, on the same CPUs).`,
    table(
      ['', 'runs', 'answers/s', 'p50 ms', 'p99 ms', 'p99.9 ms', 'refused'],
      kinds.map((kind) => {
        const of = runs.filter((r) => r.kind === kind);
        const figure = (pick: (r: Closed['runs'][number]) => number) => number(mean(of.map(pick)), 0);
        const rate = of.map((r) => r.answersPerS);
        const times = [figure((r) => r.p50Ms), figure((r) => r.p99Ms), figure((r) => r.p999Ms)];
        return [
          kind,
          of.length,
          `${number(mean(rate), 0)} ± ${number(sd(rate), 0)}`,
          ...times,
          figure((r) => r.refused),
        ];
      }),
    ),
  ];
}

interface Decoded {
  readonly rule: { size: number; crop: number; kernel: string };
  readonly quality: number;
  readonly limitMs: number;
  readonly rows: { width: number; height: number; bytes: number; n: number; medianMs: number; p90Ms: number }[];
}

const decoding = ({ rule, quality, limitMs, rows }: Decoded): string[] => [
  `JPEGs of photographic detail, quality ${quality}, to ${rule.crop} pixels (${rule.kernel}); the smaller is to take less than ${limitMs} ms (median).`,
  table(
    ['pixels', 'MB', 'n', 'median ms', 'p90 ms'],
    rows.map((r) => [`${r.width} x ${r.height}`, number(r.bytes / 1e6), r.n, r.medianMs, r.p90Ms]),
  ),
];

interface Rounds {
  readonly limitMs: number;
  readonly rounds: Record<string, number | string>[];
}
const rounds = ({ rounds, limitMs }: Rounds): string[] => {
  const heads = [...new Set(rounds.flatMap((r) => Object.keys(r)))];
  const cell = (value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? number(value, 3) : String(value ?? '');
  return [
    `p99 is to be below ${limitMs} ms.`,
    table(
      heads,
      rounds.map((r) => heads.map((h) => cell(r[h]))),
    ),
  ];
};

interface Overhead {
  readonly comparisons: { name?: string; what?: string; ratio: Spread }[];
}
interface Soak {
  readonly minutes: number;
  readonly load: number;
  readonly deadlineMs: number;
  readonly accounts: { lines: Record<string, unknown>[]; wrong: string[]; left: unknown; countedForLeft: unknown };
  readonly memoryPerHour: { pssMib: unknown; heapMib: unknown };
}
interface Accuracy {
  readonly pictures: number;
  readonly rows: { instance: string; correct: number; top1: number; manifest: { correct: number } }[];
  readonly differences: unknown[];
}

const soak = ({ minutes, load: times, deadlineMs, accounts, memoryPerHour }: Soak): string[] => [
  `${minutes} minutes at ${times} times the capacity, each request within ${deadlineMs} ms; some clients leave at random moments.`,
  table(
    Object.keys(accounts.lines[0] ?? { '': '' }),
    accounts.lines.map((l) => Object.values(l).map(String)),
  ),
  `Not accounted for: ${accounts.wrong.length ? accounts.wrong.join('; ') : 'nothing'}. Left without an answer: ${JSON.stringify(accounts.left)}, counted by the service: ${JSON.stringify(accounts.countedForLeft)}.`,
  `Memory after the first two minutes, MiB an hour (slope by least squares): ${JSON.stringify(memoryPerHour)}.`,
];

interface Overload {
  readonly latencyMs: number;
  readonly seconds: number;
  readonly services: readonly {
    name: string;
    commit: string;
    capacityPerS: { median: number; least: number; most: number };
  }[];
  readonly findings: readonly Finding[];
}
/** Services beside "this" are other commits, measured in the same run. */
const overload = ({ latencyMs, seconds, services, findings }: Overload): string[] => [
  `Poisson arrivals above capacity for ${seconds} s, each within ${latencyMs} ms. ${services
    .map(({ name, commit, capacityPerS: c }) => {
      const range = [c.median, c.least, c.most].map((x) => number(x, 0));
      return `${name === 'this' ? 'The service' : 'Beside it'}: commit ${commit.slice(0, 12)}, capacity ${range[0]} (${range[1]} to ${range[2]}) answers a second`;
    })
    .join('; ')}.`,
  table(
    ['service', 'load', 'requests', 'what', 'median (least to most)', 'limit', ''],
    findings.map(({ service, load, mode, what, figure: f, limit, holds }) => [
      service,
      load,
      mode,
      what,
      `${number(f.median, 3)} (${number(f.least, 3)} to ${number(f.most, 3)}, n = ${f.n})`,
      number(limit, 3),
      holds ? '' : 'missed',
    ]),
  ),
];

interface MixedSoak {
  readonly minutes: number;
  readonly requestsPerS: number;
  readonly read: Readonly<Record<string, number>>;
  readonly wrongs: number;
  readonly memoryPerHour: Readonly<Record<'pssMib' | 'heapMib', { perHour: number; error: number }>>;
}
const mixedSoak = ({ minutes, requestsPerS, read, wrongs, memoryPerHour: m }: MixedSoak): string[] => [
  `${minutes} minutes at ${number(requestsPerS, 0)} requests a second: budgets of every kind, forms, damaged files, clients that leave. Not accounted for: ${wrongs}.`,
  table(
    ['answer', 'requests'],
    Object.entries(read).map(([answer, count]) => [answer, count]),
  ),
  `Memory of the service and its decoding processes (PSS), MiB an hour: ${number(m.pssMib.perHour)} ± ${number(m.pssMib.error)}; heap ${number(m.heapMib.perHour)} ± ${number(m.heapMib.error)}.`,
];

interface Sweep {
  readonly setting: { durationMs: number; seeds: readonly number[] };
  /** Table -> variant -> trace -> U of each seed. */
  readonly results: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>>>;
}
const sweep = ({ setting: { durationMs, seeds }, results }: Sweep): string[] => [
  `Points of U more than with all constants as they are (mean of the differences of ${seeds.length} seeds, and their standard deviation), in virtual time, ${durationMs / 1000} s each, strict.`,
  ...Object.entries(results).map(([family, variants]) => {
    const base = variants['as it is'] ?? {};
    const traces = Object.keys(base);
    const cell = (byTrace: Readonly<Record<string, readonly number[]>>, trace: string) => {
      const differences = (byTrace[trace] ?? []).map((u, n) => 100 * (u - (base[trace]?.[n] ?? Number.NaN)));
      const middle = mean(differences);
      const sd = Math.sqrt(mean(differences.map((d) => (d - middle) ** 2)));
      return `${number(middle, 2)} ± ${number(sd, 2)}`;
    };
    const rows = Object.entries(variants).filter(([name]) => name !== 'as it is');
    return table(
      [family, ...traces],
      rows.map(([name, byTrace]) => [name, ...traces.map((trace) => cell(byTrace, trace))]),
    );
  }),
];

const accuracy = ({ pictures, rows, differences }: Accuracy): string[] => [
  table(
    ['instance', 'correct over HTTP', 'correct, manifest', 'top-1', 'pictures that differ from the reference'],
    rows.map((r) => [
      r.instance,
      `${r.correct} of ${pictures}`,
      r.manifest.correct,
      number(r.top1, 4),
      differences.length,
    ]),
  ),
];

const PAGE = [
  '# What was measured',
  'Made by `npm run benchmarks` from the JSON in `bench/results`; how each figure comes about is said at the head of its\nbench. Goals that are not reached are shown as they are.',
  ...FAMILIES.flatMap((family) => [
    latency(family),
    section<Virtual>(`Choices of runs, in virtual time: ${family}`, `virtual-${family}`, virtual),
    section<Loaded>(`Choices of runs, under real load: ${family}`, `load-${family}`, load),
    ...(existsSync(`${ROOT}/bench/results/load-${family}-repeated.json`)
      ? [section<Loaded>(`The same, more runs of few: ${family}`, `load-${family}-repeated`, load)]
      : []),
    section<Soak>(`Soak: ${family}`, `soak-${family}`, soak),
    section<Closed>(`Throughput by budget: ${family}`, `closed-${family}`, closed),
  ]),
  section<Sweep>('What the constants of the plan are worth', 'sweep', sweep),
  ...(
    [
      ['cifar10', 'cifar10'],
      ['imagenet1k-224', 'imagenet1k, 224 pixels'],
      ['imagenet1k-12mp', 'imagenet1k, 12 megapixels'],
    ] as const
  ).map(([file, what]) => section<Overload>(`Overload: ${what}`, `overload-${file}`, overload)),
  section<MixedSoak>('Soak of everything', 'soak-mixed-cifar10', mixedSoak),
  section<Overhead>('What the service costs beyond the network', 'overhead-cifar10', ({ comparisons }) => [
    table(
      ['', 'throughput of the service over that of the bare loop'],
      comparisons.map((c) => [c.name ?? c.what ?? '', `${number(c.ratio.mean, 3)} ± ${number(c.ratio.sd, 3)}`]),
    ),
  ]),
  '## Memory\n\nHow it is done: [memory.md](memory.md).',
  ...(
    [
      ['shipped', 'the shipped families'],
      ['preresnet50', 'PreResNet-50, 33 instances'],
      ['preresnet101', 'PreResNet-101, 67 instances'],
    ] as const
  ).flatMap(([file, what]) => [
    section<Memory>(`Memory of ${what}`, `memory-${file}`, memory(table)),
    section<Sessions>(`Shared against ordinary sessions: ${what}`, `sessions-${file}`, sessions(table)),
  ]),
  section<Ready>('Ready: the shipped families', 'ready-shipped', ready(table)),
  section<Ready>('Ready: cifar10 alone', 'ready-cifar10', ready(table)),
  section<Ready>('Ready: PreResNet-50', 'ready-preresnet50', ready(table)),
  section<Preprocessing>('Photographs: the service against training', 'preprocessing', preprocessing),
  section<Decoded>('Photographs: decoding', 'decode', decoding),
  section<Rounds>('A decision with a thousand waiting', 'decision', rounds),
  section<Rounds>('/healthz while engine threads and decodes are busy', 'health', rounds),
  section<Accuracy>('Served accuracy: cifar10, `instance=full`', 'accuracy-full', accuracy),
  section<Accuracy>('Served accuracy: cifar10, `cost=0.4`', 'accuracy-cost-0.4', accuracy),
  ...['full', 'p01-r769', 'p01-r554'].map((id) =>
    section<Accuracy>(`Served accuracy: imagenet1k, \`instance=${id}\``, `accuracy-imagenet1k-${id}`, accuracy),
  ),
];

writeFileSync(`${ROOT}/docs/benchmarks.md`, `${PAGE.join('\n\n')}\n`);
writeFileSync(`${ROOT}/README.md`, await withFigures(readFileSync(`${ROOT}/README.md`, 'utf8')));
