/** `dimmer classify`: pictures in, labels and what they cost out. */
import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import type { StartStage } from '../start-progress.js';
import { addBudget, type BudgetOptions, budgetText } from './budget.js';
import {
  type AskOptions,
  addCommon,
  addTimeout,
  type CommonOptions,
  type Context,
  urlArgument,
  whole,
  writeJson,
} from './common.js';
import { describeProblem, EXIT, Failure } from './failure.js';
import type { InProcess } from './in-process.js';
import { NO_BAR, progressBar, statusLine } from './progress.js';
import { type Access, type Classification, classify, keyOf, serviceUrl, TIMEOUT_MS, type Wish } from './service.js';
import type { ClassifyDocument } from './shapes.js';
import type { Terminal } from './terminal.js';
import { count, number, percent, printable, tableText } from './text.js';

const EXAMPLES = `  dimmer classify cat.jpg                             in this process, by the default family
  dimmer classify --cost 0.35 cat.jpg coffee.jpg      for at most 35 % of what the whole network costs
  dimmer classify --latency 50 --url localhost:8080 cat.jpg
  dimmer classify --cost 0.1 --not-strict cat.jpg     the nearest there is, and never a refusal
  curl -s https://example.com/cat.jpg | dimmer classify --json -
`;

/** A file that is no file: what comes from stdin. */
const STDIN = '-';

interface Options extends CommonOptions, AskOptions, BudgetOptions {
  readonly model?: string;
  readonly models?: string;
  readonly instance?: string;
  readonly top?: number;
}

type Result = ClassifyDocument['files'][number];

export function addClassify(program: Command, { terminal, end }: Context): void {
  const command = program
    .command('classify')
    .summary('what is on pictures, within a budget')
    .description(
      'Classifies pictures (JPEG, PNG, WebP, AVIF, GIF, TIFF), one request for each: by a running service (--url), or in this ' +
        'process, which takes some seconds to start, and more the first time on a host.',
    )
    .argument('<files...>', `pictures; ${STDIN} is stdin`)
    .option('--url <url>', 'a running service; without it, this process', urlArgument)
    .option('--model <name>', 'family; without it, the default one')
    .option('--instance <id>', 'exactly this instance; the budget must allow it')
    .option('--top <n>', 'so many labels, the most probable first (default: 5)', whole(1, 1000))
    .addOption(
      new Option(
        '--models <folder>',
        'folder of families for this process (default: setting MODELS_DIR, or models)',
      ).conflicts('url'),
    );
  addCommon(addBudget(addTimeout(command)), EXAMPLES).action(async (files: string[], options: Options) => {
    const wish = {
      model: options.model,
      instance: options.instance,
      top: options.top === undefined ? undefined : String(options.top),
      budget: budgetText(options),
    };
    const { access, close } = await accessTo(options, terminal);
    try {
      const results = await classifyAll(files, access, wish, options, terminal);
      if (options.json) writeJson(terminal, { files: results });
      end(results.every((r) => 'answer' in r) ? EXIT.fine : EXIT.failed);
    } finally {
      await close();
    }
  });
}

interface Opened {
  readonly access: Access;
  readonly close: () => Promise<void>;
}

async function accessTo({ url, timeout, models, model, key }: Options, terminal: Terminal): Promise<Opened> {
  const timeoutMs = timeout ?? TIMEOUT_MS;
  if (url) return { access: { base: url, key: keyOf(terminal, key), timeoutMs }, close: async () => {} };
  const say = statusLine(terminal);
  const onStage = (stage: StartStage) => say(`starting: ${stage} (the first start on a host takes longer)`);
  try {
    // Only here: it brings all of the service with it, which no other way to ask needs.
    const { startInProcess } = await import('./in-process.js');
    const { environment } = terminal;
    const started: InProcess = await startInProcess({ environment, models, model, onStage });
    return { access: { base: serviceUrl(started.url), key: undefined, timeoutMs }, close: started.close };
  } finally {
    say('');
  }
}

/** One after another: a latency is then that of a picture alone. Said as they come, or with --json at the end. */
async function classifyAll(
  files: readonly string[],
  access: Access,
  wish: Wish,
  { json }: CommonOptions,
  terminal: Terminal,
): Promise<Result[]> {
  const quiet = json === true && terminal.watched && files.length > 1;
  const bar = quiet ? progressBar('pictures', files.length) : NO_BAR;
  const results: Result[] = [];
  for (const file of files) {
    const result = await one(file, access, wish, terminal);
    results.push(result);
    bar.step();
    if (json) continue;
    if ('answer' in result) terminal.out(answerText(result.file, result.answer));
    else terminal.err(`${printable(result.file)}: ${describeProblem(result.problem)}`);
  }
  bar.stop();
  return results;
}

/** A picture that fails is no reason not to try the next one. */
async function one(file: string, access: Access, wish: Wish, terminal: Terminal): Promise<Result> {
  try {
    const picture = file === STDIN ? await terminal.input() : await bytesOf(file);
    return { file, answer: await classify(access, picture, wish) };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { file, problem: error.problem };
  }
}

const READING: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'it may not be read by this user',
};

async function bytesOf(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw new Failure({
      title: 'The file cannot be read',
      detail: READING[code] ?? message,
      expected: 'files that are pictures',
      action: 'correct the name of the file',
    });
  }
}

function answerText(file: string, { model, budget, results }: Classification): string {
  const parts = results.map(({ predictions, model_instance: instance, reason, cost, batchSize, timing }) => {
    const labels = predictions.map(({ label, probability }) => [`  ${label}`, percent(probability, 1)]);
    const { totalMs, decodeMs, queueMs, inferenceMs } = timing;
    const ms = (value: number) => number(value, 1);
    const wished = Object.keys(budget).some((name) => name !== 'strict' && name !== 'met');
    return [
      tableText([{}, { right: true }], labels),
      `  ${instance.id} of ${model}: ${reason}\n`,
      `  cost ${percent(cost.share, 1)} of the full network, ${count(cost.flops)} FLOPs\n`,
      `  ${ms(totalMs)} ms: decode ${ms(decodeMs)}, queue ${ms(queueMs)}, network ${ms(inferenceMs)} (batch of ${batchSize})\n`,
      ...(wished ? [`  budget ${budget.met ? 'met' : 'not met'}\n`] : []),
    ];
  });
  const lines = parts.flat().join('').split('\n').map(printable);
  return `${printable(file)}\n${lines.join('\n')}`;
}
