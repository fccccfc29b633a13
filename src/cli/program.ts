/** The command line as a whole: which commands there are, and what becomes of their errors. */
import { Command, CommanderError } from 'commander';
import { messageOf } from '../errors.js';
import { addBench } from './bench.js';
import { addClassify } from './classify.js';
import { addHelp, type Context, type ExitStatus, writeJson } from './common.js';
import { describeProblem, EXIT, Failure, UsageError } from './failure.js';
import { addModels } from './models.js';
import { addServe } from './serve.js';
import type { Terminal } from './terminal.js';
import { printable } from './text.js';

const EXAMPLES = `  dimmer serve --port 8080
  dimmer models
  dimmer classify --cost 0.35 cat.jpg
  dimmer bench localhost:8080 --rate 100 --seconds 10 --latency 50
  dimmer help classify
`;

/** All commands, for parsing and for help. */
export function makeProgram(context: Context): Command {
  const { out, err } = context.terminal;
  const program = new Command('dimmer')
    .description('Image classification in which every request says what it may cost.')
    .configureOutput({ writeOut: out, writeErr: err })
    .exitOverride()
    .enablePositionalOptions() // or --json of a command would be looked for here
    .showHelpAfterError('(--help says what there is)');
  addServe(program, context);
  addModels(program, context);
  addClassify(program, context);
  addBench(program, context);
  return addHelp(program, EXAMPLES);
}

/** args: without node and script. Returns the exit status; raises what is a fault of this program. */
export async function run(args: readonly string[], terminal: Terminal): Promise<ExitStatus> {
  let status: ExitStatus = EXIT.fine;
  const context: Context = {
    terminal,
    end: (ended) => {
      status = ended;
    },
  };
  try {
    await makeProgram(context).parseAsync(args, { from: 'user' });
    return status;
  } catch (error) {
    return statusOf(error, args, terminal);
  }
}

function statusOf(error: unknown, args: readonly string[], terminal: Terminal): ExitStatus {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.fine : EXIT.usage; // it has said why
  if (error instanceof UsageError) {
    terminal.err(`error: ${messageOf(error).split('\n').map(printable).join('\n')}\n`);
    return EXIT.usage;
  }
  if (!(error instanceof Failure)) throw error;
  const { problem } = error;
  terminal.err(describeProblem(problem));
  if (args.includes('--json')) writeJson(terminal, { problem });
  return EXIT.failed;
}
