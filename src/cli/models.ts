/** `dimmer models`: what there is, and what it costs. */
import { type Command, Option } from 'commander';
import { configSchema } from '../config.js';
import type { Family } from '../family/instance.js';
import { loadFamilies } from '../family/load.js';
import { frontier } from '../router/frontier.js';
import {
  type AskOptions,
  addCommon,
  addTimeout,
  type CommonOptions,
  type Context,
  urlArgument,
  writeJson,
} from './common.js';
import { fromStart } from './failure.js';
import { keyOf, listModels, type Model, TIMEOUT_MS } from './service.js';
import type { ModelsDocument } from './shapes.js';
import type { Terminal } from './terminal.js';
import { type Column, count, number, percent, printable, tableText } from './text.js';

const EXAMPLES = `  dimmer models                               the families in the folder models/
  dimmer models --models /srv/families        those in another folder
  dimmer models --url http://localhost:8080   those of a running service, with its measured latency
  dimmer models --json | jq -r '.models[].instances[] | select(.frontier).id'
`;

interface Options extends CommonOptions, AskOptions {
  readonly models?: string;
}

type Listed = ModelsDocument['models'][number];

export function addModels(program: Command, { terminal }: Context): void {
  const command = program
    .command('models')
    .summary('what there is: families, instances, cost, accuracy, latency')
    .description(
      'Lists families and their instances: share of the full FLOPs, accuracy, whether an instance is on the frontier (no ' +
        'other costs no more and is no less accurate), and how long a run takes on the host of the service that is asked.',
    )
    .option('--url <url>', 'a running service', urlArgument)
    .addOption(
      new Option('--models <folder>', 'folder of families (default: setting MODELS_DIR, or models)').conflicts('url'),
    );
  addCommon(addTimeout(command), EXAMPLES).action(async (options: Options) => {
    const document = await listed(options, terminal);
    if (options.json) writeJson(terminal, document);
    else terminal.out(textOf(document));
  });
}

async function listed({ url, models, timeout, key }: Options, terminal: Terminal): Promise<ModelsDocument> {
  if (url) {
    const access = { base: url, key: keyOf(terminal, key), timeoutMs: timeout ?? TIMEOUT_MS };
    return { source: { url: url.href }, models: (await listModels(access)).map(ofService) };
  }
  const folder = models ?? configSchema.shape.MODELS_DIR.parse(terminal.environment.MODELS_DIR || undefined);
  try {
    return { source: { folder }, models: (await loadFamilies(folder)).map(ofFamily) };
  } catch (error) {
    throw fromStart('The families cannot be read', error);
  }
}

function ofService(model: Model): Listed {
  const { name, version, description, architecture, input, measuredOn, labels, instances } = model;
  return {
    ...{ name, version, description, architecture, default: model.default, classes: labels.length, input, measuredOn },
    instances: instances.map(({ id, network, p, r, precision, flops, share, accuracy, frontier, latencyMs }) => {
      const [one, eight] = [latencyMs['1'], latencyMs['8']];
      const known = one !== undefined && eight !== undefined ? { '1': one, '8': eight } : null;
      return { id, network, p, r, precision, flops, share, accuracy, frontier, latencyMs: known };
    }),
  };
}

function ofFamily(family: Family): Listed {
  const { name, version, description, architecture, height, width, measuredOn, labels, instances } = family;
  const best = frontier(instances);
  return {
    ...{ name, version, description, architecture, default: null, classes: labels.length, measuredOn },
    input: { height, width },
    instances: instances
      .toSorted((a, b) => a.flops - b.flops)
      .map((instance) => {
        const { id, network, p, r, precision, flops, share, accuracy } = instance;
        const facts = { id, network, p, r, precision, flops, share, accuracy };
        return { ...facts, frontier: best.includes(instance), latencyMs: null };
      }),
  };
}

const FIRST: Column = { head: 'instance' };
/** Shown where a family has several networks. */
const NETWORK: Column = { head: 'network' };
const COLUMNS: readonly Column[] = [
  { head: 'p', right: true },
  { head: 'r', right: true },
  { head: 'cost', right: true },
  { head: 'FLOPs', right: true },
  { head: 'accuracy', right: true },
  { head: 'frontier' },
];
const LATENCY: readonly Column[] = [
  { head: 'ms, 1 picture', right: true },
  { head: 'ms, 8 pictures', right: true },
];

function textOf({ source, models }: ModelsDocument): string {
  if (models.length === 0) return `There is no family in ${printable(Object.values(source).join())}.\n`;
  const measured = 'url' in source;
  const note = measured
    ? 'ms: a run on the host of this service, what 95 % of recent ones do not exceed; decoding and waiting come on top.\n'
    : 'No latency: it is measured by a running service (--url).\n';
  return `${models.map((model) => familyText(model, measured)).join('\n')}\n${note}`;
}

function familyText(model: Listed, measured: boolean): string {
  const { name, version, classes, input, measuredOn, description } = model;
  const facts = [
    `version ${version}`,
    `${count(classes)} classes`,
    `pictures of ${input.width}x${input.height}`,
    ...(model.default ? ['the default'] : []),
  ];
  const { dataset, part, scope } = measuredOn;
  const several = model.instances.some((i) => i.network !== undefined);
  const rows = model.instances.map((i) => [
    i.id,
    ...(several ? [i.network ?? 'its own'] : []),
    String(i.p),
    String(i.r),
    percent(i.share, 1),
    count(i.flops),
    percent(i.accuracy),
    i.frontier ? 'yes' : '',
    ...(measured ? [number(i.latencyMs?.['1'], 2), number(i.latencyMs?.['8'], 2)] : []),
  ]);
  const head = [`${name} (${facts.join(', ')})`, description, `accuracy: top-1 on ${dataset}, ${part}, ${scope}`];
  const columns = [FIRST, ...(several ? [NETWORK] : []), ...COLUMNS, ...(measured ? LATENCY : [])];
  return `${head.map((line) => `${printable(line)}\n`).join('')}${tableText(columns, rows)}`;
}
