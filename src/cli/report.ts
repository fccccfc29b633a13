/** Pure: from what the requests of a load came to, to a result and whether it can be believed. */
import type { TimedAnswer } from '../load/answer.js';
import { CONNECTIONS } from '../load/client.js';
import type { Quantiles } from '../load/statistics.js';
import { MOST_LAG_MS, type Profile, summarise } from '../load/summary.js';
import type { BenchDocument } from './shapes.js';
import { count, number, percent, printable } from './text.js';

export interface Goals {
  /** At least this share of all requests in time, by this client's clock. */
  readonly inTime?: number;
  /** The 99th percentile of latency, by this client's clock, at most so many ms. */
  readonly p99Ms?: number;
}

/** What was asked of the service, and how. */
export type Setup = Pick<
  BenchDocument,
  'url' | 'model' | 'modelVersion' | 'budget' | 'instance' | 'ratePerS' | 'seconds' | 'seed' | 'pictures'
>;

export interface Played {
  readonly records: readonly TimedAnswer[];
  readonly mostInFlight: number;
}

export interface Known {
  /** Accuracy by instance id. */
  readonly profile: Profile;
  /** Whether it is known what is right. */
  readonly labelled: boolean;
  /** Of the budget; undefined if it names none. */
  readonly latencyMs: number | undefined;
}

export function reportOf(setup: Setup, { records, mostInFlight }: Played, known: Known, goals: Goals): BenchDocument {
  const summary = summarise(records, known.profile, known.latencyMs ?? Number.POSITIVE_INFINITY);
  const { arrivals, attainmentClient, scheduledMs, lagMs } = summary;
  const { measured, profiled } = summary.deliveredAccuracy;
  const answers = Object.values(summary.instances).reduce((a, b) => a + b, 0);
  return {
    ...setup,
    requests: arrivals,
    inTime: { client: attainmentClient, service: summary.attainment },
    goodputPerS: Math.round(attainmentClient * arrivals) / setup.seconds, // whole answers, but for the error of doubles
    accuracy: { measured: known.labelled ? orNull(measured) : null, ofInstances: orNull(profiled) },
    meanCost: orNull(summary.meanShare),
    latencyMs: { client: noNaN(scheduledMs), service: noNaN(summary.serverMs) },
    instances: summary.instances,
    refused: summary.refused,
    failed: summary.failed,
    lagMs: noNaN(lagMs),
    mostInFlight,
    doubts: doubts(answers, lagMs, mostInFlight),
    missed: missed(attainmentClient, scheduledMs.p99, goals),
  };
}

function doubts(answers: number, lagMs: Quantiles, mostInFlight: number): string[] {
  return [
    ...(answers === 0 ? ['no request was answered'] : []),
    ...(lagMs.p99 > MOST_LAG_MS
      ? [
          `this client lagged: one request in a hundred was sent more than ${number(lagMs.p99, 1)} ms late, and ${MOST_LAG_MS} ms is the most; ask for less, or from another machine`,
        ]
      : []),
    ...(mostInFlight > CONNECTIONS
      ? [
          `${count(mostInFlight)} requests waited at once, more than this client has connections (${count(CONNECTIONS)})`,
        ]
      : []),
  ];
}

function missed(inTime: number, p99Ms: number, goals: Goals): string[] {
  // Of no answers there is no percentile, and nothing is reached.
  return [
    ...(goals.inTime !== undefined && inTime < goals.inTime
      ? [`in time ${percent(inTime)}, goal ${percent(goals.inTime)}`]
      : []),
    ...(goals.p99Ms !== undefined && !(p99Ms <= goals.p99Ms)
      ? [`p99 ${number(p99Ms, 1)} ms, goal ${number(goals.p99Ms, 1)} ms`]
      : []),
  ];
}

const orNull = (value: number): number | null => (Number.isFinite(value) ? value : null);

const noNaN = ({ p50, p90, p99, p999 }: Quantiles) => ({
  p50: orNull(p50),
  p90: orNull(p90),
  p99: orNull(p99),
  p999: orNull(p999),
});

/** As the longest name of a row. */
const NAME_WIDTH = "this client's lag".length;

/** For people. */
export function reportText(report: BenchDocument): string {
  const { url, model, modelVersion, budget, instance, ratePerS, seconds, seed, requests, pictures } = report;
  const asked = [
    budget === null ? 'no budget' : `budget ${budget}`,
    ...(instance === null ? [] : [`instance ${instance}`]),
  ];
  const rows: (readonly [string, ...string[]])[] = [
    [
      'in time',
      percent(report.inTime.client),
      `of all requests; by the service's clock ${percent(report.inTime.service)}`,
    ],
    ['goodput', `${number(report.goodputPerS, 1)} /s`, 'answers in time'],
    ['accuracy', ...accuracyText(report)],
    ['mean cost', share(report.meanCost), "of the full network's FLOPs"],
    ['latency', quantilesText(report.latencyMs.client), 'from the scheduled time to the last byte'],
    ['by the service', quantilesText(report.latencyMs.service), 'from the last byte of the picture to the answer'],
    ["this client's lag", quantilesText(report.lagMs), 'how late it sent'],
    ['instances', mix(report.instances)],
    ['refused', reasons(report.refused)],
    ['failed', reasons(report.failed)],
  ];
  const head = [
    `${model} (version ${modelVersion}) at ${url}`,
    `${count(requests)} requests in ${seconds} s (Poisson, ${ratePerS} a second), ${asked.join(', ')}; ${count(pictures)} pictures, seed ${seed}`,
    '',
    ...rows.map(([name, ...cells]) => `${name.padEnd(NAME_WIDTH)} ${cells.join('   ')}`),
  ];
  const tail = [
    ...report.doubts.map((doubt) => `DOUBTFUL: ${doubt}`),
    ...report.missed.map((goal) => `MISSED: ${goal}`),
  ];
  return [...head, ...tail].map((line) => `${printable(line)}\n`).join('');
}

const share = (value: number | null) => percent(value ?? Number.NaN);

function accuracyText({ accuracy: { measured, ofInstances } }: BenchDocument): [string, string] {
  const known = `${share(ofInstances)} is what the instances that ran are known for`;
  return measured === null ? ['-', `not measured: no labels; ${known}`] : [share(measured), `of the answers; ${known}`];
}

const quantilesText = ({ p50, p90, p99, p999 }: BenchDocument['lagMs']): string =>
  Object.entries({ p50, p90, p99, 'p99.9': p999 })
    .map(([name, ms]) => `${name} ${number(ms ?? Number.NaN, 1)}`)
    .join('  ')
    .concat(' ms');

function mix(instances: Readonly<Record<string, number>>): string {
  const all = Object.values(instances).reduce((a, b) => a + b, 0);
  const parts = Object.entries(instances).map(([id, n]) => `${id} ${percent(n / all, 1)}`);
  return parts.join(', ') || 'none';
}

const reasons = (some: Readonly<Record<string, number>>): string =>
  Object.entries(some)
    .map(([reason, n]) => `${reason} ${count(n)}`)
    .join(', ') || 'none';
