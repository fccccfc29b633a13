/** Questions about running it: memory, starts, overhead, faults. */
import { count, number, percent, range } from './markdown.js';
import { type Material, type Result, resultsOf } from './results.js';
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
  Soak,
  Starts,
  Tracing,
} from './shapes.js';
import { check, type Question, type Statement } from './statement.js';

export const questionsOfService = (material: Material): Question[] => [
  memoryOfService(material),
  memoryOfAll(material),
  soonReady(material),
  sharedSlows(material),
  overhead(material),
  traces(material),
  decides(material),
  reachable(material),
  survives(material),
  changes(material),
  grows(material),
  sameStarts(material),
  decodes(material),
  photographs(material),
  mutants(material),
];

/** "ready-cifar10" without "ready-". */
const subject = ({ name, bench }: Result): string => name.replace(`${bench}-`, '');

/** MB for the shipped families together (DESIGN.md, how we judge it). */
const SHIPPED_MB = 600;
const MB_PER_MIB = 1.048576;

function memoryOfService(material: Material): Question {
  const found = resultsOf<Ready>(material, 'ready').flatMap((result) => {
    const kept = result.rows.find((r) => r.name === 'this' && r.cache === 'kept');
    if (!kept) return [];
    const others = result.rows
      .filter((r) => r.cache === 'kept' || r.name === 'this')
      .filter((r) => !/rehearsal/.test(r.name));
    const shown = (r: Ready['rows'][number]) =>
      `${r.name === 'this' ? '' : `${r.name}, `}cache ${r.cache} ${number(r.pssMib.median, 0)} ± ${number(r.pssMib.sd, 0)} MiB`;
    const limited = subject(result) === 'shipped' ? others.filter((r) => r.name === 'this') : [];
    const statement: Statement = {
      result,
      figure: `${subject(result)}: ${others.map(shown).join('; ')} (n = ${kept.n})`,
      checks: limited.map((r) => {
        const mb = MB_PER_MIB * r.pssMib.median;
        return check(
          `${subject(result)}, cache ${r.cache}`,
          mb <= SHIPPED_MB,
          `${number(mb, 0)} MB`,
          `${SHIPPED_MB} MB`,
        );
      }),
    };
    return [{ headline: `${number(kept.pssMib.median, 0)} MiB (${subject(result)})`, statement }];
  });
  return {
    ask: 'How much memory does the service take?',
    goal: `the three shipped families ${SHIPPED_MB} MB`,
    headline: found.map((f) => f.headline).join(', '),
    statements: found.map((f) => f.statement),
  };
}

/** The image has this one; without it more is expected, and shown on the page of details. */
const ALLOCATOR = 'jemalloc';

function memoryOfAll(material: Material): Question {
  const found = resultsOf<Memory>(material, 'memory').flatMap((result) => {
    const ratios = result.findings.filter((f) => f.allocator === ALLOCATOR);
    const row = (name: string) => result.rows.find((r) => r.allocator === ALLOCATOR && r.name === name);
    const [one, all] = [row('one'), row('all')];
    if (!one || !all) return [];
    const span = (r: Memory['rows'][number]) =>
      `${number(r.restedMib, 0)} MiB at rest (${range(
        r.runs.map((run) => run.restedMib),
        (value) => number(value, 0),
      )})`;
    const statement: Statement = {
      result,
      figure: `${subject(result)}: all ${all.instances} instances ${span(all)}, one network ${span(one)} (n = ${all.runs.length})`,
      checks: ratios.map(({ what, ratio, limit }) =>
        check(`${subject(result)}, ${what}`, ratio <= limit, number(ratio, 2), number(limit, 1)),
      ),
    };
    return [
      { headline: `${number(all.restedMib / one.restedMib, 1)} times one network (${subject(result)})`, statement },
    ];
  });
  return {
    ask: 'How much do all instances take, against one network?',
    goal: '1.5 times one; a second thread 1.5 times the first, a second process 1.3 times',
    headline: found.map((f) => f.headline).join(', '),
    statements: found.map((f) => f.statement),
  };
}

/** Seconds to ready with what an earlier start has kept (DESIGN.md, how we judge it). */
const READY_S: Readonly<Record<string, number>> = { cifar10: 3, shipped: 5 };

function soonReady(material: Material): Question {
  const found = resultsOf<Ready>(material, 'ready').flatMap((result) => {
    const kept = result.rows.find((r) => r.name === 'this' && r.cache === 'kept');
    if (!kept) return [];
    const limit = READY_S[subject(result)];
    const s = ({ median, sd }: { median: number; sd: number }) => `${number(median / 1000)} ± ${number(sd / 1000)} s`;
    const shown = result.rows
      .filter((r) => !/rehearsal/.test(r.name))
      .map((r) => `${r.name === 'this' ? '' : `${r.name}, `}cache ${r.cache} ${s(r.readyMs)}`);
    const statement: Statement = {
      result,
      figure: `${subject(result)}: ${shown.join('; ')} (n = ${kept.n})`,
      checks:
        limit === undefined
          ? []
          : [
              check(
                `${subject(result)}, cache kept`,
                kept.readyMs.median < 1000 * limit,
                s(kept.readyMs),
                `${limit} s`,
              ),
            ],
    };
    return [{ headline: `${number(kept.readyMs.median / 1000)} s (${subject(result)})`, statement }];
  });
  return {
    ask: 'How soon is it ready, once it has started here before?',
    goal: 'less than 3 s for a CIFAR family, 5 s for the three shipped',
    headline: found.map((f) => f.headline).join(', '),
    statements: found.map((f) => f.statement),
  };
}

/** What `WEIGHTS` is unless told. */
const USUAL_WEIGHTS = 'auto';

function sharedSlows(material: Material): Question {
  const statements = resultsOf<Sessions>(material, 'sessions').map((result): Statement => {
    const { limits } = result;
    const usual = result.summaries.filter((s) => s.weights === USUAL_WEIGHTS);
    return {
      result,
      figure: `${subject(result)}: ${usual
        .map((s) => `median ${number(s.median, 3)}, p95 ${number(s.p95, 3)} at batch ${s.size}`)
        .join('; ')} (n = ${usual[0]?.n} instances)`,
      checks: usual.flatMap((s) => [
        check(
          `${subject(result)}, median, batch ${s.size}`,
          s.median <= limits.median,
          number(s.median, 3),
          `${limits.median}`,
        ),
        check(`${subject(result)}, p95, batch ${s.size}`, s.p95 <= limits.p95, number(s.p95, 3), `${limits.p95}`),
      ]),
    };
  });
  return {
    ask: 'Are runs with shared weights as fast as ordinary ones?',
    goal: 'time over that of an ordinary session: median 1.03, p95 1.15',
    statements,
  };
}

function overhead(material: Material): Question {
  const statements = resultsOf<Overhead>(material, 'overhead').map((result): Statement => {
    const shown = result.comparisons.map((c) => ({
      ...c,
      text: `${number(c.ratio.mean, 3)} ± ${number(c.ratio.sd, 3)}`,
    }));
    return {
      result,
      figure: `${subject(result)}: ${shown.map((c) => `${c.text} (${c.name}, n = ${c.rounds.length})`).join('; ')}`,
      checks: shown.map((c) => check(c.name, c.ratio.mean >= result.limit, c.text, `${result.limit}`)),
    };
  });
  return {
    ask: 'Is it nearly as fast as the bare network?',
    goal: 'throughput at least 0.9 of a bare onnxruntime loop',
    statements,
  };
}

function traces(material: Material): Question {
  const statements = resultsOf<Tracing>(material, 'tracing').map((result): Statement => {
    const shown = result.comparisons.map((c) => ({
      ...c,
      text: `${number(c.ratio.mean, 3)} ± ${number(c.ratio.sd, 3)}`,
    }));
    return {
      result,
      figure: `${subject(result)}: ${shown.map((c) => `${c.text} (${c.instance}, n = ${c.rounds.length})`).join('; ')}`,
      checks: shown.map((c) => check(c.instance, c.ratio.mean >= result.limit, c.text, `${result.limit}`)),
    };
  });
  return {
    ask: 'What do traces cost?',
    goal: 'with every request traced, throughput at least 0.98 of that without traces',
    statements,
  };
}

function decides(material: Material): Question {
  const statements = resultsOf<Decision>(material, 'decision').map((result): Statement => {
    const { rounds, limitMs, waiting } = result;
    const kinds = [
      ['the next run', rounds.map((r) => r.nextP99Ms)],
      ['admission', rounds.map((r) => r.foreseeP99Ms)],
    ] as const;
    const ms = (values: readonly number[]) => `${range(values, (v) => number(v, 2))} ms`;
    return {
      result,
      figure: `p99 with ${count(waiting)} waiting: ${kinds.map(([what, p99]) => `${what} ${ms(p99)}`).join(', ')} (n = ${rounds.length} rounds of ${count(rounds[0]?.n ?? 0)})`,
      checks: kinds.map(([what, p99]) =>
        check(
          what,
          p99.every((v) => v < limitMs),
          ms(p99),
          `${limitMs} ms`,
        ),
      ),
    };
  });
  return { ask: 'Are decisions quick?', goal: 'p99 below 0.3 ms', statements };
}

function reachable(material: Material): Question {
  const statements = resultsOf<Health>(material, 'health').map((result): Statement => {
    const busy = result.rounds.filter((r) => r.load !== 'idle').map((r) => r.p99Ms);
    const idle = result.rounds.filter((r) => r.load === 'idle').map((r) => r.p99Ms);
    const ms = (values: readonly number[]) => `${range(values, (v) => number(v))} ms`;
    return {
      result,
      figure: `p99 of /healthz while all threads are busy ${ms(busy)}, idle ${ms(idle)} (n = ${busy.length} rounds)`,
      checks: busy.map((p99, n) =>
        check(`round ${n + 1}`, p99 < result.limitMs, `${number(p99)} ms`, `${result.limitMs} ms`),
      ),
    };
  });
  return { ask: 'Does it answer health checks while busy?', goal: 'p99 below 10 ms', statements };
}

function survives(material: Material): Question {
  const soaks = resultsOf<Soak>(material, 'soak').map((result): Statement => {
    const { minutes, load, accounts } = result;
    const wrong = `${accounts.wrong.length} not accounted for`;
    return {
      result,
      figure: `${subject(result)}: ${minutes} minutes at ${load} times capacity, ${count(accounts.sent)} requests, ${wrong}`,
      checks: [check(`${subject(result)}, overload`, accounts.wrong.length === 0, wrong, '0')],
    };
  });
  const mixed = resultsOf<MixedSoak>(material, 'soak-mixed').map((result): Statement => {
    const all = Object.values(result.read).reduce((a, b) => a + b, 0);
    const wrong = `${result.wrongs} not accounted for`;
    return {
      result,
      figure: `${subject(result)}: ${result.minutes} minutes of requests of every kind, ${count(all)} of them, ${wrong}`,
      checks: [check(`${subject(result)}, everything`, result.wrongs === 0, wrong, '0')],
    };
  });
  const chaos = resultsOf<Chaos>(material, 'chaos').map((result): Statement => {
    const held = result.findings.filter((f) => f.holds).length;
    return {
      result,
      figure: `killed threads and standstills: ${result.minutes} minutes, ${count(result.arrivals)} requests, ${held} of ${result.findings.length} demands hold`,
      checks: result.findings.map(({ what, holds, detail }) => check(what, holds, plain(detail), 'holds')),
    };
  });
  return {
    ask: 'Is every request accounted for, whatever happens?',
    goal: 'each request has one right answer, on both sides',
    statements: [...soaks, ...mixed, ...chaos],
  };
}

function changes(material: Material): Question {
  const rolling = resultsOf<Rolling>(material, 'rolling').map((result): Statement => {
    const { requests, failed, replicas, restartsUnderLoad } = result;
    return {
      result,
      figure: `${replicas} replicas replaced behind HAProxy, ${restartsUnderLoad} restarts: ${failed} of ${count(requests)} requests failed`,
      checks: [check('replicas replaced, failed requests', failed === 0, count(failed), '0')],
    };
  });
  const reload = resultsOf<Reload>(material, 'reload').map((result): Statement => {
    const { findings, replaced, replacements, requests, mibOfEach, allocator } = result;
    const failed = findings.find((f) => f.demand === 'failed requests')?.found ?? Number.NaN;
    const stays = `${number(mibOfEach.slope)} ± ${number(mibOfEach.error)} MiB`;
    return {
      result,
      figure: `${replaced} replaced ${replacements.length} times: ${failed} of ${count(requests)} requests failed; ${stays} stay of each (${allocator})`,
      checks: findings.map((f) => check(f.demand, f.holds, number(f.found, 1), `${f.limit}`)),
    };
  });
  return {
    ask: 'Can replicas and families be replaced while it serves?',
    goal: 'no request fails, at most 2 MiB stay of each replaced family',
    statements: [...rolling, ...reload],
  };
}

/** A detail that is an object, as "name 1, name 2". */
export function plain(detail: string): string {
  if (!detail.startsWith('{')) return detail;
  const pairs = Object.entries(JSON.parse(detail) as Record<string, unknown>);
  return pairs.length === 0 ? 'none' : pairs.map(([key, value]) => `${key} ${value}`).join(', ');
}

function grows(material: Material): Question {
  const found = [...resultsOf<Soak>(material, 'soak'), ...resultsOf<MixedSoak>(material, 'soak-mixed')].map(
    (result) => {
      const { pssMib: pss, heapMib: heap } = result.memoryPerHour;
      const slope = ({ perHour, error }: typeof pss) => `${number(perHour)} ± ${number(error)}`;
      const figure = `${subject(result)}: ${slope(pss)} MiB an hour, of it on the heap ${slope(heap)} (${result.minutes} minutes)`;
      return { perHour: pss.perHour, statement: { result, figure, checks: [] } };
    },
  );
  const span = range(
    found.map((f) => f.perHour),
    (value) => number(value, 0),
  );
  return {
    ask: 'Does memory grow?',
    goal: '',
    headline: `by ${span} MiB an hour`,
    statements: found.map((f) => f.statement),
  };
}

function sameStarts(material: Material): Question {
  const statements = resultsOf<Starts>(material, 'starts').map((result): Statement => {
    const { starts, same, swapped, tolerance } = result;
    const swaps = `${swapped.length} pairs of instances swap`;
    return {
      result,
      figure: `${starts.length} starts beside a busy loop: ${same ? 'the same' : 'not the same'} instances to choose from, ${swaps}`,
      checks: [
        check('instances to choose from', same, same ? 'the same' : 'not the same', 'the same'),
        check(`order of those that differ by more than ${100 * tolerance} %`, swapped.length === 0, swaps, '0'),
      ],
    };
  });
  return { ask: 'Does every start choose from the same instances?', goal: 'the same, in the same order', statements };
}

function decodes(material: Material): Question {
  const found = resultsOf<Decoded>(material, 'decode').flatMap((result) => {
    const shown = result.rows.map((r) => ({
      ...r,
      megapixels: number((r.width * r.height) / 1e6, 0),
      ms: `${number(r.medianMs)} ms`,
    }));
    const [phone] = shown;
    if (!phone) return [];
    const figure = shown
      .map((r) => `${r.megapixels} megapixels ${r.ms}, p90 ${number(r.p90Ms)} ms (n = ${r.n})`)
      .join('; ');
    const checks = [
      check(`${phone.megapixels} megapixels`, phone.medianMs < result.limitMs, phone.ms, `${result.limitMs} ms`),
    ];
    return [{ headline: `${phone.ms} for ${phone.megapixels} megapixels`, statement: { result, figure, checks } }];
  });
  return {
    ask: "How long does a phone's picture take to decode?",
    goal: 'median below 60 ms',
    headline: found.map((f) => f.headline).join(', '),
    statements: found.map((f) => f.statement),
  };
}

function photographs(material: Material): Question {
  const found = resultsOf<Preprocessing>(material, 'preprocessing').map((result) => {
    const { n, ways, correct } = result;
    const figure = `right: JPEG ${correct.shrinkOnLoad} of ${n}, the same pixels as PNG ${correct.whole}, training ${correct.pytorch}`;
    return {
      headline: `${n - ways.shrinkOnLoad.differ} of ${n} are answered as training answers them`,
      statement: { result, figure, checks: [] },
    };
  });
  return {
    ask: 'Are photographs read as in training?',
    goal: '',
    headline: found.map((f) => f.headline).join(', '),
    statements: found.map((f) => f.statement),
  };
}

function mutants(material: Material): Question {
  const statements = resultsOf<Mutation>(material, 'mutation').map((result): Statement => {
    const { all, files, leastScore } = result;
    const changes = all.killed + all.timeout + all.survived + all.noCoverage;
    const gone = Object.keys(files).filter((file) => !material.exists(file)).length;
    const renamed = gone ? `; ${gone} of ${Object.keys(files).length} files are there no more` : '';
    return {
      result,
      figure: `${percent(all.score / 100, 1)} % of ${count(changes)} changes (n = 1)${renamed}`,
      checks: [check('changes noticed', all.score >= leastScore, `${number(all.score)} %`, `${leastScore} %`)],
    };
  });
  return { ask: 'Would the tests notice a mistake in the pure parts?', goal: '80 % of all changes', statements };
}
