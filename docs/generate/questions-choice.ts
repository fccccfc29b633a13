/** Questions about what a budget buys, and about choosing under load. */
import { findings } from '../../bench/load/verdict.js';
import { quantileOf } from '../../src/latency/quantile.js';
import type { Peers } from '../peers.js';
import { grouped } from './grouped.js';
import {
  among,
  type Contest,
  contests,
  contestsInVirtualTime,
  isFixed,
  isRival,
  lead,
  oursBy,
  unbeaten,
  valid,
} from './load.js';
import { count, number, percent, points, range } from './markdown.js';
import { type Material, type Result, resultsOf } from './results.js';
import type { Accuracy, Closed, Loaded, Overload, Strict, Virtual } from './shapes.js';
import { check, type Question, type Statement } from './statement.js';

export const questionsOfChoice = (material: Material): Question[] => [
  rightOverHttp(material),
  cheaper(material),
  beatsPeers(material),
  beatsFixed(material),
  beatsRivals(material),
  beatsBefore(material),
  keepsPromises(material),
  overloaded(material),
  strictCosts(material),
  throughput(material),
];

function rightOverHttp(material: Material): Question {
  const statements = resultsOf<Accuracy>(material, 'accuracy').map((result): Statement => {
    const { rows, differences, model, budget } = result;
    const others = differences ?? [];
    const doubtful = others.filter((d) => !d.nearTie);
    return {
      result,
      figure: rows
        .map(
          (r) =>
            `${model} ${r.instance}${budget ? ` (${budget})` : ''}: ${count(r.correct)} of ${count(r.n)} right${r.comparable ? `, ${count(r.manifest.correct)} expected` : ''}; ${others.length} answered otherwise`,
        )
        .join('; '),
      checks: [
        check(
          `${model} ${rows.map((r) => r.instance).join(', ')}`,
          doubtful.length === 0 &&
            rows.every((r) => !r.comparable || Math.abs(r.correct - r.manifest.correct) <= others.length),
          `${doubtful.length} of ${count(result.pictures)} pictures answered otherwise without being near ties`,
          '0',
        ),
      ],
    };
  });
  return {
    ask: 'Are answers over HTTP those of the trained network?',
    goal: 'the same for every picture, near ties excepted',
    statements,
  };
}

/** Half the time of `full`, alone in its batch. */
const HALF = 0.5;

function cheaper(material: Material): Question {
  const found = material.tables.flatMap(({ file, table }) => {
    const ms = (id: string) => quantileOf(table.samples[id]?.[1] ?? [], 0.5) ?? Number.NaN;
    const full = table.instances.find((i) => i.share === 1);
    if (!full) return [];
    const half = table.instances
      .filter((i) => ms(i.id) <= HALF * ms(full.id))
      .reduce<typeof full | undefined>((a, b) => (a && a.accuracy >= b.accuracy ? a : b), undefined);
    if (!half) return [];
    const lost = `${number(100 * (full.accuracy - half.accuracy))} points on ${table.family}`;
    const figure = `${table.family} ${half.id}: ${percent(half.accuracy, 1)} % right at ${number(ms(half.id))} ms, full ${percent(full.accuracy, 1)} % at ${number(ms(full.id))} ms (medians of ${table.samples[half.id]?.[1]?.length} runs)`;
    const result = { ...table.host, ...table, bench: 'table', name: table.family, file } as unknown as Result;
    return [{ lost, statement: { result, figure, checks: [] } }];
  });
  return {
    ask: 'What does an answer lose at half the time?',
    goal: '',
    headline: found.map((f) => f.lost).join(', '),
    statements: found.map((f) => f.statement),
  };
}

const everybody = (material: Material): { result: Result; family: string; where: string; all: Contest[] }[] => [
  ...resultsOf<Loaded>(material, 'load').map((result) => ({
    result,
    family: result.model,
    where: 'over HTTP',
    all: contests(result),
  })),
  ...resultsOf<Virtual>(material, 'virtual').map((result) => ({
    result,
    family: result.family.name,
    where: 'in virtual time',
    all: contestsInVirtualTime(result),
  })),
];

function compared(material: Material, wanted: (name: string) => boolean): Statement[] {
  return everybody(material).flatMap(({ result, family, where, all }) => {
    const here = among(all, wanted);
    if (here.length === 0) return [];
    const leads = here.map((contest) => ({ ...lead(contest), contest, holds: unbeaten(contest) }));
    const held = leads.filter((l) => l.holds).length;
    const by = range(
      leads.map((l) => l.by),
      (value) => points(value),
    );
    const n = range(
      here.map((c) => c.n),
      (value) => number(value, 0),
    );
    return [
      {
        result,
        figure: `${family}, ${where}: ${held} of ${leads.length} traces, ${by} points of U against the best of them (n = ${n})`,
        checks: leads.map(({ rival, by: difference, contest, holds }) => {
          const { mean, sd } = (contest.rows[0] as Contest['rows'][number]).figures.utility;
          return check(
            contest.trace,
            holds,
            `${percent(mean)} ± ${percent(sd)}, ${points(difference, 2)} against ${rival}`,
            '-0.20',
          );
        }),
      },
    ];
  });
}

function beatsPeers(material: Material): Question {
  const statements = resultsOf<Peers>(material, 'peers').map((result): Statement => {
    const shares = ({ name, traces }: Peers['servers'][number]) =>
      `${name} ${traces.map(({ trace, rightInTime: r }) => `${percent(r.median, 1)} (${percent(r.least, 1)} to ${percent(r.most, 1)}) on ${trace}`).join(', ')}`;
    const n = Math.max(...result.servers.flatMap((s) => s.traces.map((t) => t.rightInTime.n)));
    return {
      result,
      figure: `right and in time, %, ${result.model}: ${result.servers.map(shares).join('; ')} (n = ${n})`,
      checks: result.findings.map(({ trace, peer, holds, ours, theirs, margin }) =>
        check(
          `${trace}, against ${peer}`,
          holds,
          `${percent(ours, 1)} against ${percent(theirs, 1)} %`,
          points(-margin),
        ),
      ),
    };
  });
  return {
    ask: 'Is it better than BentoML and LitServe with the full network?',
    goal: 'right and in time at most 1 point below them, at every load',
    statements,
  };
}

const beatsFixed = (material: Material): Question => ({
  ask: 'Is it better than the best fixed instance?',
  unit: 'traces',
  goal: 'U (in time and right) of no fixed instance more than 0.2 points above, on every trace',
  statements: compared(material, isFixed),
});

const beatsRivals = (material: Material): Question => ({
  ask: 'Is it better than other ways to choose?',
  unit: 'traces',
  goal: 'U of no rival more than 0.2 points above, on every trace',
  statements: compared(material, isRival),
});

/** Of a load: those of the bench's own findings whose text has this, as checks. */
function judged(result: Loaded, about: RegExp): Statement['checks'] {
  return findings(valid(result), result.profile.full)
    .filter((f) => about.test(f.what))
    .map(({ what, holds, detail }) => {
      const [demand = what, goal = ''] = what.split(' at least ');
      return check(demand, holds, detail, goal);
    });
}

function beatsBefore(material: Material): Question {
  const statements = resultsOf<Loaded>(material, 'load').flatMap((result): Statement[] => {
    const checks = judged(result, /checkout:/);
    if (checks.length === 0) return [];
    const held = checks.filter((c) => c.holds).length;
    const n = Math.max(...contests(result).map((c) => c.n));
    return [{ result, figure: `${result.model}: ${held} of ${checks.length} traces (n = ${n} pairs)`, checks }];
  });
  return {
    ask: 'Is it at least as good as the version before?',
    unit: 'traces',
    goal: 'U at most 0.5 points below (2 where the load changes), median of pairs',
    statements,
  };
}

function keepsPromises(material: Material): Question {
  const shares: number[] = [];
  const statements = resultsOf<Loaded>(material, 'load').flatMap((result): Statement[] => {
    const kept = oursBy(result, (s) => s.promiseKept);
    const answered = oursBy(result, (s) => s.attainment);
    if (kept.size === 0) return [];
    shares.push(...kept.values());
    const worst = [...kept].reduce((a, b) => (b[1] < a[1] ? b : a));
    const n = contests(result).find((c) => c.trace === worst[0])?.n ?? 0;
    return [
      {
        result,
        figure: `${result.model}: ${range([...kept.values()], percent)} % of what was admitted is in time, least on ${worst[0]} (n = ${n}), where ${percent(answered.get(worst[0]) ?? Number.NaN)} % of all arrivals are`,
        checks: judged(result, /^[^:]*: (attainment|promises kept) /),
      },
    ];
  });
  return {
    ask: 'Are promises kept, also in a burst?',
    headline: `${range(shares, (share) => percent(share, 1))} % of them`,
    goal: 'at load 0.8 99.9 % of what was admitted, 99.5 % of all; in the hardest bursts (CV² 8) 95 % of all',
    statements,
  };
}

const inTime = ({ findings: all }: Overload) => all.filter((f) => f.service === 'this' && f.what.startsWith('in time'));

function overloaded(material: Material): Question {
  const statements = resultsOf<Overload>(material, 'overload').map((result): Statement => {
    const own = result.findings.filter((f) => f.service === 'this');
    const shares = inTime(result).toSorted((a, b) => a.load - b.load);
    const modes = [...new Set(shares.map((f) => f.mode))].sort().reverse();
    const figures = modes.map((mode) => {
      const of = shares.filter((f) => f.mode === mode);
      const each = of.map(
        ({ load, figure: f }) =>
          `${number(f.median, 2)} (${number(f.least, 2)} to ${number(f.most, 2)}) at ${load} times`,
      );
      return `${mode} ${each.join(', ')}`;
    });
    return {
      result,
      figure: `${result.name.replace('overload-', '')}: in time, as shares of capacity: ${figures.join('; ')} (n = ${range(
        own.map((f) => f.figure.n),
        (value) => number(value, 0),
      )})`,
      checks: own.map(({ what, load, mode, holds, figure, limit }) =>
        check(
          `${what}, ${load} times capacity, ${mode}`,
          holds,
          `${number(figure.median, 2)} (${number(figure.least, 2)} to ${number(figure.most, 2)})`,
          number(limit, 2),
        ),
      ),
    };
  });
  const all = resultsOf<Overload>(material, 'overload').flatMap((r) => inTime(r));
  return {
    ask: 'Does it keep answering when more comes than it can do?',
    headline: `${range(
      all.map((f) => f.figure.median),
      (share) => percent(share, 0),
    )} % of capacity`,
    goal: 'in time 0.9 of capacity at 1.2 and 1.5 times, 0.8 less what refusing takes at 3 times; at most 1 % admitted and expired; a refusal within 20 ms; nobody without an answer',
    statements,
  };
}

function strictCosts(material: Material): Question {
  const statements = resultsOf<Strict>(material, 'strict').map((result): Statement => {
    const checks = result.findings.map(({ trace, against, holds, strict, other, margin, differences: d }) =>
      check(
        `${trace}, against ${against}`,
        holds,
        `${percent(strict)} against ${percent(other)} % in time (pairs ${points(d.median, 2)} ± ${percent(d.sd)}, n = ${d.n})`,
        `${points(-margin)}`,
      ),
    );
    return {
      result,
      figure: `${result.name.replace('strict-', '')}: ${checks.map((c) => `${c.what}: ${c.measured}`).join('; ')}`,
      checks,
    };
  });
  return {
    ask: 'Are as many in time with a strict deadline as with a soft one?',
    goal: 'at most 0.3 points fewer than with strict=?0, and 0.5 fewer than on the cheapest instance',
    statements,
  };
}

function throughput(material: Material): Question {
  const found = resultsOf<Closed>(material, 'closed').map((result) => {
    const rates = [...grouped(result.runs, (r) => r.kind)].map(([kind, runs]) => ({
      kind,
      n: runs.length,
      perS: runs.reduce((sum, r) => sum + r.answersPerS, 0) / runs.length,
    }));
    const [least, most] = [
      rates.reduce((a, b) => (b.perS < a.perS ? b : a)),
      rates.reduce((a, b) => (b.perS > a.perS ? b : a)),
    ];
    const each = [least, most].map(({ kind, perS }) => `${number(perS, 0)}/s with ${kind}`);
    return {
      headline: `${number(least.perS, 0)} to ${number(most.perS, 0)} on ${result.model}`,
      statement: { result, figure: `${result.model}: ${each.join(', ')} (n = ${least.n})`, checks: [] },
    };
  });
  return {
    ask: 'How many pictures a second?',
    goal: '',
    headline: found.map((f) => f.headline).join(', '),
    statements: found.map((f) => f.statement),
  };
}
