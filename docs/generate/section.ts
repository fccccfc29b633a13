/** A section of a page of details: what it shows and how to read it, its tables, and where the figures come from. */
import { type Circumstances, type Material, origin, outdated, type Result } from './results.js';

/** From a page in docs/benchmarks to the root. */
export const UP = '../../';

const TITLES: Readonly<Record<string, string>> = {
  accuracy: 'Served accuracy',
  chaos: 'Killed threads, standstills and silences',
  closed: 'Throughput by budget',
  decision: 'A decision with a thousand waiting',
  decode: 'Decoding of photographs',
  health: 'Health checks while everything is busy',
  load: 'Under real load',
  memory: 'Memory',
  mutation: 'Mutation testing',
  overhead: 'What the service costs beyond the network',
  overload: 'Above capacity',
  peers: 'Beside BentoML and LitServe',
  preprocessing: 'Photographs, against training',
  ready: 'How soon it is ready',
  reload: 'A family replaced under load',
  rolling: 'Replicas replaced under load',
  sessions: 'Shared against ordinary sessions',
  soak: 'Ten minutes above capacity',
  'soak-mixed': 'An hour of everything',
  starts: 'Whether every start serves the same',
  strict: 'Strict against best effort',
  sweep: 'What the constants of the plan are worth',
  table: 'Latency by instance',
  tracing: 'What traces cost',
  virtual: 'In virtual time',
};

export const headingOf = ({ bench, name }: Pick<Result, 'bench' | 'name'>): string =>
  `${TITLES[bench] ?? bench} (${name})`;

interface Parts {
  readonly heading: string;
  /** Paragraphs and tables. */
  readonly body: readonly string[];
  readonly result: Circumstances & object;
  /** From the root. */
  readonly file: string;
}

export function section({ heading, body, result, file }: Parts, material: Material): string {
  const old = outdated(result, material);
  const warning = old
    ? [`**Older than the family**: measured on its version \`${old.was}\`; shipped is \`${old.is}\` by now.`]
    : [];
  return [`## ${heading}`, ...body, ...warning, origin(result, file, UP)].join('\n\n');
}

export const sectionOf = (result: Result, body: readonly string[], material: Material): string =>
  section({ heading: headingOf(result), body, result, file: result.file }, material);
