/** docs/benchmarks/service.md: what no single family says. */
import { mean } from '../../src/load/statistics.js';
import { type Peers, peersOrigin, peersTable } from '../peers.js';
import { type Cell, count, number, table } from './markdown.js';
import type { Plot } from './plots.js';
import { plain } from './questions-service.js';
import type { Material, Result } from './results.js';
import { sectionOf } from './section.js';
import type {
  Chaos,
  Decision,
  Decoded,
  Health,
  Memory,
  MixedSoak,
  Mutation,
  Overhead,
  Preprocessing,
  Ready,
  Reload,
  Rolling,
  Sessions,
  Starts,
  Sweep,
  Tracing,
} from './shapes.js';

type Body = (result: never, material: Material) => string[];

/** In the order of the page. */
const BODIES: Readonly<Record<string, Body>> = {
  peers,
  memory,
  sessions,
  ready,
  overhead,
  tracing,
  decision,
  health,
  decode,
  preprocessing,
  'soak-mixed': mixedSoak,
  chaos,
  rolling,
  reload,
  starts,
  sweep,
  mutation,
};

/** results: all that no page of a family shows. What no section is written for is listed at the end. */
export function servicePage(results: readonly Result[], plots: readonly Plot[], material: Material): string {
  const of = (bench: string) =>
    results
      .filter((r) => r.bench === bench)
      .map((r) => sectionOf(r, (BODIES[bench] as Body)(r as never, material), material));
  const others = results.filter((r) => !(r.bench in BODIES));
  const memoryPlot = plots.filter((p) => p.kind === 'memory').map((p) => `![${p.alt}](${p.file})`);
  return [
    '# What was measured on the service',
    'All figures behind the answers in [benchmarks.md](../benchmarks.md) that are not of one family, made by `npm run benchmarks`.\nHow memory is shared is told in [memory.md](../memory.md), what the constants do in [scheduling.md](../scheduling.md).',
    ...memoryPlot,
    ...Object.keys(BODIES).flatMap(of),
    ...others.map((r) => sectionOf(r, ['No table is made of this result.'], material)),
  ].join('\n\n');
}

function peers(result: Peers): string[] {
  return [peersTable(result), peersOrigin(result)];
}

const mib = (value: number) => number(value, 0);

function memory({ rows, findings }: Memory): string[] {
  return [
    `A row is one process (or two) that loaded instances and ran each at every batch size on every engine thread. MiB are
proportional set sizes: pages that processes share count once. After a rest of 5 s is what stays, busy is right after the
last run; medians of n runs. \`one\` is the full network alone, as onnxruntime optimises it by itself; \`all\` is every instance
with shared weights; \`ordinary\` is every instance with weights of its own.`,
    table(
      ['', 'allocator', 'weights', 'instances', 'threads', 'after a rest', 'busy', 'loaded in, s', 'n'],
      rows.map((r): Cell[] => [
        r.name,
        r.allocator,
        r.weights,
        r.instances,
        r.threads,
        mib(r.restedMib),
        mib(r.busyMib),
        number(r.readyMs / 1000, 1),
        r.runs.length,
      ]),
    ),
    'What is demanded: all instances against one, two threads against one, two processes against one. The image has jemalloc.',
    table(
      ['ratio', 'allocator', 'measured', 'at most', ''],
      findings.map((f) => [
        f.what,
        f.allocator,
        number(f.ratio, 2),
        f.limit,
        f.ratio <= f.limit ? 'holds' : '**fails**',
      ]),
    ),
  ];
}

function sessions({ summaries, largestDifference, limits }: Sessions): string[] {
  return [
    `The time of a run with shared weights over that of an ordinary session with all optimisations: 1 is as fast, 1.1 a tenth
slower. A row is one setting of \`WEIGHTS\` at one batch size, over all instances; of \`auto\`, the default, the median may be
${limits.median} and the 95th percentile ${limits.p95}. Logits differ by ${largestDifference.toExponential(1)} at most.`,
    table(
      ['`WEIGHTS`', 'batch', 'instances', 'median', 'p95', 'largest'],
      summaries.map((s) => [s.weights, s.size, s.n, number(s.median, 3), number(s.p95, 3), number(s.largest, 3)]),
    ),
  ];
}

function ready({ rows, latencyMs, rate }: Ready): string[] {
  return [
    `A row is one build with an empty cache folder, as at the first start on a host, or with what an earlier start has kept.
\`this\` is the service, \`no rehearsal\` the same without requests of its own before it is ready, other names are other
checkouts. Ready is from the start of the process to \`/readyz\`; in time are pictures of the second that follows (${rate} a
second within ${latencyMs} ms), memory (PSS) is after it. Medians ± standard deviation.`,
    table(
      ['', '`CACHE_DIR`', 'n', 'ready after, s', 'in time, %', 'memory, MiB'],
      rows.map((r) => [
        r.name,
        r.cache,
        r.n,
        `${number(r.readyMs.median / 1000)} ± ${number(r.readyMs.sd / 1000)}`,
        `${number(100 * r.inTime.median)} ± ${number(100 * r.inTime.sd)}`,
        `${mib(r.pssMib.median)} ± ${mib(r.pssMib.sd)}`,
      ]),
    ),
  ];
}

function overhead({ comparisons, limit }: Overhead): string[] {
  return [
    `Throughput of the whole service over that of a loop that does nothing but run onnxruntime on the same instance and batch:
1 is no overhead, at least ${limit} is demanded.`,
    table(
      ['', 'service over loop', 'n'],
      comparisons.map((c) => [c.name, `${number(c.ratio.mean, 3)} ± ${number(c.ratio.sd, 3)}`, c.rounds.length]),
    ),
  ];
}

function tracing({ comparisons, connections, limit }: Tracing): string[] {
  return [
    `Throughput of a service that sends a trace of every request to a collector, over that of one that sends none. They take turns,
each request is one small picture, ${connections} are under way at once, and the collector runs on the same CPUs. At least ${limit} is demanded.
CPU is that of the service's main process with its threads, without decoding processes, for each answer.`,
    table(
      ['instance', 'on over off', 'CPU off, ms', 'CPU on, ms', 'spans an answer', 'lost', 'n'],
      comparisons.map(({ instance, ratio, rounds }): Cell[] => [
        instance,
        `${number(ratio.mean, 3)} ± ${number(ratio.sd, 3)}`,
        number(mean(rounds.map((r) => r.off.cpuMs)), 3),
        number(mean(rounds.map((r) => r.on.cpuMs)), 3),
        number(mean(rounds.map((r) => r.on.spans)), 1),
        count(rounds.reduce((sum, r) => sum + r.on.lost, 0)),
        rounds.length,
      ]),
    ),
  ];
}

function decision({ rounds, limitMs, waiting }: Decision): string[] {
  return [
    `How long the scheduler thinks with ${count(waiting)} pictures waiting: to choose the next run, and to say at arrival whether a request
can be in time. A row is a round; the 99th percentiles have to stay below ${limitMs} ms, for the event loop does nothing else meanwhile.`,
    table(
      ['n', 'next run p50, ms', 'p99', 'longest', 'admission p50, ms', 'p99', 'longest'],
      rounds.map((r) => [
        r.n,
        ...[r.nextP50Ms, r.nextP99Ms, r.nextMaxMs, r.foreseeP50Ms, r.foreseeP99Ms, r.foreseeMaxMs].map((ms) =>
          number(ms, 3),
        ),
      ]),
    ),
  ];
}

function health({ rounds, limitMs }: Health): string[] {
  return [
    `How long \`/healthz\` takes, idle and while all engine threads and decodes are busy. It says whether the event loop is free; the
99th percentile while busy has to stay below ${limitMs} ms.`,
    table(
      ['load', 'n', 'p50, ms', 'p99, ms', 'longest, ms', 'pictures a second'],
      rounds.map((r) => [
        r.load,
        r.n,
        number(r.p50Ms, 2),
        number(r.p99Ms, 2),
        number(r.maxMs, 2),
        r.picturesPerSecond === undefined ? '' : number(r.picturesPerSecond),
      ]),
    ),
  ];
}

function decode({ rule, quality, limitMs, rows }: Decoded): string[] {
  return [
    `JPEGs of photographic detail, quality ${quality}, from bytes to ${rule.crop} pixels (${rule.kernel}). A row is one size; the median of the smaller, a phone's,
has to stay below ${limitMs} ms.`,
    table(
      ['pixels', 'MB', 'n', 'median, ms', 'p90, ms'],
      rows.map((r) => [`${r.width} x ${r.height}`, number(r.bytes / 1e6), r.n, number(r.medianMs), number(r.p90Ms)]),
    ),
  ];
}

function preprocessing({ n, shorterSide, quality, correct, ways }: Preprocessing): string[] {
  return [
    `${n} photographs enlarged to ${shorterSide} pixels (shorter side), as JPEG of quality ${quality}: \`full\` through HTTP against PyTorch with training's own
resizing, which has ${correct.pytorch} right. A row is one way to read them; it says how many are answered otherwise and how far log
probabilities (logits up to a constant) are apart.`,
    table(
      ['', 'other answers', 'right', 'mean difference', 'largest, median picture', 'largest of all'],
      (['shrinkOnLoad', 'whole'] as const).map((way) => [
        way === 'shrinkOnLoad' ? 'JPEG, made smaller while it is read' : 'the same pixels as PNG, read whole',
        `${ways[way].differ} of ${n}`,
        correct[way],
        number(ways[way].logProbability.mean, 3),
        number(ways[way].logProbability.medianOfLargest, 3),
        number(ways[way].logProbability.largest, 3),
      ]),
    ),
  ];
}

function mixedSoak({ minutes, requestsPerS, read, wrongs, memoryPerHour: m }: MixedSoak): string[] {
  return [
    `${minutes} minutes at ${number(requestsPerS, 0)} requests a second: budgets of every kind, forms, damaged files, clients that leave. Rows are what
clients read; every request has to be accounted for on both sides. Not accounted for: ${wrongs}.`,
    table(
      ['answer', 'requests'],
      Object.entries(read).map(([kind, n]) => [kind, count(n)]),
    ),
    `Memory of the service and its decoding processes (PSS): ${number(m.pssMib.perHour)} ± ${number(m.pssMib.error)} MiB an hour; of the heap ${number(m.heapMib.perHour)} ± ${number(m.heapMib.error)}.`,
  ];
}

function chaos({ families, minutes, arrivals, read, findings }: Chaos): string[] {
  return [
    `${minutes} minutes of bursts and silences over ${families.join(', ')}, while engine threads are killed and the whole process is stopped for
a moment: ${count(arrivals)} requests. Rows are what must be true.`,
    table(
      ['', 'demand', 'measured'],
      findings.map(({ what, holds, detail }) => [holds ? 'holds' : '**fails**', what, plain(detail)]),
    ),
    'What the clients read:',
    table(
      ['answer', 'requests'],
      Object.entries(read).map(([kind, n]) => [kind, count(n)]),
    ),
  ];
}

function rolling(result: Rolling): string[] {
  const {
    replicas,
    clients,
    ratePerS,
    requests,
    failed,
    restartsUnderLoad,
    drainDelayMs,
    latencyMs,
    haproxy,
    restarts,
  } = result;
  return [
    `${replicas} replicas behind HAProxy ${haproxy.version}, replaced one after another while ${clients} clients send ${number(ratePerS, 0)} requests a second: each is sent SIGTERM,
serves for ${number(drainDelayMs / 1000, 0)} s more, ends, and is started again. HAProxy checks \`/readyz\` every ${haproxy.checkMs} ms, gives up a replica after ${haproxy.fall} checks, and
sends nothing a second time. Failed: **${count(failed)} of ${count(requests)}** requests, over ${restartsUnderLoad} restarts. An answer took ${number(latencyMs.p50)} ms in the median and
${number(latencyMs.p99)} ms at the 99th percentile, while replicas started on the same CPUs.`,
    table(
      ['replica', 'SIGTERM at, s', 'ended after, s', 'exit status', 'back after, s'],
      restarts.map((r) => [
        r.replica,
        number(r.atMs / 1000, 0),
        number(r.endedMs / 1000),
        r.exitCode ?? 'killed',
        number(r.backMs / 1000),
      ]),
    ),
  ];
}

function reload(result: Reload): string[] {
  const { replaced, other, allocator, connections, requests, latencyMs, findings, mibOfEach, replacements } = result;
  return [
    `\`${replaced}\` is replaced by another version ${replacements.length} times, by \`POST /v2/repository/models/${replaced}/load\`, while ${connections} connections ask for it and for
\`${other}\` without a pause (allocator: ${allocator}): ${count(requests)} requests, ${number(latencyMs.p50)} ms in the median, ${number(latencyMs.p99)} ms at the 99th percentile. A
replacement took ${number(mean(replacements.map((r) => r.ms)) / 1000)} s. Memory is that of the service and its decoding processes (PSS); what stays of each is the slope after the
first ${mibOfEach.after}, with a standard error of ${number(mibOfEach.error)} MiB.`,
    table(
      ['', 'demand', 'measured', 'at most'],
      findings.map(({ demand, found, limit, holds }) => [
        holds ? 'holds' : '**fails**',
        demand,
        number(found, Number.isInteger(found) ? 0 : 1),
        limit,
      ]),
    ),
    `MiB after each replacement: ${replacements.map((r) => number(r.pssMib, 0)).join(', ')}.`,
  ];
}

function starts({ starts: all, same, swapped, tolerance }: Starts): string[] {
  return [
    `The service is started again and again beside a busy loop. What it measures of a host that is disturbed must not decide what
it serves: every start has to choose from the same instances, and two whose latency differs by more than ${100 * tolerance} % may not change places.`,
    table(
      ['start', '`CACHE_DIR`', 'ready after, s', 'instances to choose from'],
      all.map((s, n) => [n + 1, s.cache, number(s.readyMs / 1000), s.instances.filter((i) => i.served).length]),
    ),
    `Instances to choose from: ${same ? 'the same at every start' : '**not the same at every start**'}. Pairs that change places: ${swapped.length}.`,
  ];
}

function sweep({ setting: { durationMs, seeds }, results }: Sweep): string[] {
  return [
    `What U gains (in points) if one constant of the plan, or one part of it, is another than it is: a negative figure means that
what is there earns its place. Columns are traces in virtual time, ${durationMs / 1000} s each, strict; mean of the differences of n = ${seeds.length} seeds, and
their standard deviation.`,
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
}

function mutation({ all, files, leastScore }: Mutation, material: Material): string[] {
  return [
    `Each pure part is changed in one place after another, and its tests run: a change that no test notices survives. The score is the
share noticed, equivalent changes (which do the same) counted as not noticed; ${leastScore} % is demanded of all together. What
survived is listed in the raw result.`,
    table(
      ['file', 'noticed', 'survived', 'of them equivalent', 'score, %', ''],
      [...Object.entries(files), ['all', all] as const].map(([file, c]) => [
        file,
        c.killed + c.timeout,
        c.survived + c.noCoverage,
        c.equivalent,
        number(c.score),
        file === 'all' || material.exists(file) ? '' : 'moved or gone since',
      ]),
    ),
  ];
}
