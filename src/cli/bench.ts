/** `dimmer bench`: an open-loop load on a running service, and what came of it. */
import type { Command } from 'commander';
import { poisson } from '../load/arrivals.js';
import { Client, PRIMED, type Target } from '../load/client.js';
import { play } from '../load/play.js';
import { seeded, seedFor } from '../load/random.js';
import { addBudget, type BudgetOptions, budgetText } from './budget.js';
import {
  type AskOptions,
  addCommon,
  addTimeout,
  type CommonOptions,
  type Context,
  positive,
  urlArgument,
  whole,
  writeJson,
} from './common.js';
import { EXIT, Failure } from './failure.js';
import { examplePictures, type Pictures, picturesOf } from './pictures.js';
import { NO_BAR, progressBar } from './progress.js';
import { type Played, reportOf, reportText, type Setup } from './report.js';
import { type Access, headersOf, keyOf, listModels, type Model, pathOf, TIMEOUT_MS, unreachable } from './service.js';
import type { Terminal } from './terminal.js';

const EXAMPLES = `  dimmer bench localhost:8080 --rate 100 --seconds 30 --latency 50
  dimmer bench localhost:8080 --rate 100 --seconds 30 --latency 50 --goal-in-time 0.99
  dimmer bench localhost:8080 --model cifar10 --rate 500 --seconds 10 --latency 25 --data data/cifar10/test
  dimmer bench localhost:8080 --rate 20 --seconds 10 --cost 0.5 --json > result.json
`;

/** More than one process can send; two processes can each send half. */
const MOST_PER_S = 100_000;
/** A day. */
const MOST_SECONDS = 86_400;
/** All requests have their records in memory, some 200 bytes each. */
const MOST_REQUESTS = 10_000_000;

interface Options extends CommonOptions, AskOptions, BudgetOptions {
  readonly rate: number;
  readonly seconds: number;
  readonly model?: string;
  readonly instance?: string;
  readonly data?: string;
  readonly seed: number;
  readonly goalInTime?: number;
  readonly goalP99?: number;
}

export function addBench(program: Command, { terminal, end }: Context): void {
  const command = program
    .command('bench')
    .summary('load on a running service: in time, goodput, accuracy, cost')
    .description(
      'Sends single pictures to a running service at times by chance (Poisson), whether or not there are answers (open loop), ' +
        'and says what came of it. Latency counts from when a request should have been sent. If this client cannot keep its ' +
        'timetable, it says so and the result is doubtful. Load only services that are yours.',
    )
    .argument('<url>', 'the service, such as http://localhost:8080', urlArgument)
    .requiredOption('--rate <n>', 'requests a second, on average', positive(MOST_PER_S))
    .requiredOption('--seconds <s>', 'how long requests are sent', positive(MOST_SECONDS))
    .option('--model <name>', "family; without it, the service's default one")
    .option('--instance <id>', 'exactly this instance, for all requests; the budget must allow it')
    .option(
      '--data <folder>',
      'pictures, <folder>/<label>/<picture>, and then accuracy is measured; or <folder>/<picture>, without it (default: three example pictures)',
    )
    .option('--seed <n>', 'of the timetable and the order of pictures', whole(0, 2 ** 32 - 1), 1)
    .option('--goal-in-time <share>', 'status 1 if less than this share is in time', positive(1))
    .option('--goal-p99 <ms>', 'status 1 if the 99th percentile of latency is above this', positive(3_600_000));
  addCommon(addBudget(addTimeout(command)), EXAMPLES).action(async (base: URL, options: Options) => {
    const access = { base, key: keyOf(terminal, options.key), timeoutMs: options.timeout ?? TIMEOUT_MS };
    const model = chosen(await listModels(access), options.model, base);
    const { data, seed } = options;
    const random = seeded(seedFor(seed, 'pictures'));
    const material = data === undefined ? examplePictures() : picturesOf(data, model.labels, random);
    const played = await send(access, model, material, options, terminal);
    assertKnown(played, model);
    const report = reportOf(setupOf(access, model, material, options), played, knownOf(model, material, options), {
      ...(options.goalInTime !== undefined && { inTime: options.goalInTime }),
      ...(options.goalP99 !== undefined && { p99Ms: options.goalP99 }),
    });
    if (options.json) writeJson(terminal, report);
    else terminal.out(reportText(report));
    end(report.doubts.length > 0 || report.missed.length > 0 ? EXIT.failed : EXIT.fine);
  });
}

function chosen(models: readonly Model[], name: string | undefined, { href }: URL): Model {
  const found = models.find((m) => (name === undefined ? m.default : m.name === name));
  if (found) return found;
  throw new Failure({
    title: 'No such model',
    detail: name === undefined ? `${href} has no default model` : `${href} has no model ${name}`,
    expected: models.length > 0 ? `one of ${models.map((m) => m.name).join(', ')}` : 'a service that has a family',
    action: 'name one with --model; dimmer models --url lists them',
  });
}

async function send(
  { base, key, timeoutMs }: Access,
  { name }: Model,
  { pictures }: Pictures,
  options: Options,
  terminal: Terminal,
): Promise<Played> {
  const { rate, seconds, seed, instance } = options;
  const arrivalsMs = timetable(rate, seconds, seed);
  const target: Target = {
    url: base.origin,
    path: pathOf(base, '/classify', { model: name, instance, top: '1' }),
    headers: headersOf(key, budgetText(options)),
    pictures,
    timeoutMs,
  };
  const client = new Client(target);
  const bar = terminal.watched ? progressBar('answers', arrivalsMs.length) : NO_BAR;
  try {
    await client.prime(Math.min(PRIMED, Math.ceil(rate)), pathOf(base, '/healthz')).catch((error: unknown) => {
      throw unreachable(base, error, timeoutMs);
    });
    const records = await play(arrivalsMs, (index) => client.post(index), bar.step);
    return { records, mostInFlight: client.mostInFlight };
  } finally {
    bar.stop();
    await client.close();
  }
}

/** In ms from the start. Raises Failure for one that is empty, or too long to keep. */
function timetable(rate: number, seconds: number, seed: number): number[] {
  const expected = 'a rate and a time that make some requests, and no more than a machine can remember';
  const action = 'change --rate or --seconds';
  if (rate * seconds > MOST_REQUESTS) {
    throw new Failure({ title: 'Too many requests', detail: `${rate * seconds} of them`, expected, action });
  }
  const arrivalsMs = poisson(rate / 1000, seconds * 1000, seeded(seedFor(seed, 'arrivals')));
  if (arrivalsMs.length > 0) return arrivalsMs;
  throw new Failure({ title: 'No request', detail: `none fell into ${seconds} s`, expected, action });
}

/** Another model has taken the place of the one that was described: its figures would be mixed. */
function assertKnown({ records }: Played, { name, instances }: Model): void {
  const strange = records.find((r) => r.instance !== undefined && !instances.some((i) => i.id === r.instance));
  if (!strange) return;
  throw new Failure({
    title: 'The service has changed meanwhile',
    detail: `an instance ${strange.instance} answered, which ${name} did not have before`,
    expected: 'one version of the model throughout',
    action: 'measure again',
  });
}

function setupOf({ base }: Access, model: Model, { pictures }: Pictures, options: Options): Setup {
  return {
    url: base.href,
    model: model.name,
    modelVersion: model.version,
    budget: budgetText(options) ?? null,
    instance: options.instance ?? null,
    ratePerS: options.rate,
    seconds: options.seconds,
    seed: options.seed,
    pictures: pictures.length,
  };
}

function knownOf({ instances }: Model, { labelled }: Pictures, { latency }: Options) {
  return {
    profile: Object.fromEntries(instances.map(({ id, accuracy }) => [id, accuracy])),
    labelled,
    latencyMs: latency === undefined ? undefined : Number(latency),
  };
}
