/** `dimmer serve`: the service, with the settings of src/config.ts as options. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { configSchema, SECRET } from '../config.js';
import { messageOf, StartError } from '../errors.js';
import { addCommon, type CommonOptions, type Context } from './common.js';
import { UsageError } from './failure.js';

const EXAMPLES = `  dimmer serve                                     on port 8080, with the families in models/
  dimmer serve --port 9000 --models /srv/families
  dimmer serve --default-budget 'latency=250, strict=?0'
  PORT=9000 dimmer serve                           the same settings as environment variables
`;

type Key = keyof typeof configSchema.shape;

/** Elsewhere in the command line it is --models, too. */
const NAMES: Partial<Record<Key, string>> = { MODELS_DIR: 'models' };

/** The option of each setting; of secret ones none, as whoever may list processes sees arguments. */
function optionsOfSettings(): { readonly key: Key; readonly option: Option }[] {
  const keys = (Object.keys(configSchema.shape) as Key[]).filter((key) => !SECRET.has(key));
  return keys.map((key) => {
    const schema = configSchema.shape[key];
    const standard = String(schema.safeParse(undefined).data ?? '');
    const name = NAMES[key] ?? key.toLowerCase().replaceAll('_', '-');
    const description = `${schema.description} [${key}]${standard === '' ? '' : ` (default: ${standard})`}`;
    const check = (text: string) => {
      const parsed = schema.safeParse(text);
      if (!parsed.success) throw new InvalidArgumentError(parsed.error.issues[0]?.message ?? '');
      return text;
    };
    return { key, option: new Option(`--${name} <value>`, description).argParser(check) };
  });
}

export function addServe(program: Command, { terminal }: Context): void {
  const settings = optionsOfSettings();
  const command = program
    .command('serve')
    .summary('start the service')
    .description(
      'Starts the service in this process; a signal (SIGTERM, Ctrl-C) ends it after what it has accepted. Each setting is an ' +
        `option or the environment variable in brackets; the option wins. ${[...SECRET].join(', ')}: only as a variable, since ` +
        'arguments are seen by whoever may list processes. The log is JSON lines on stdout, with --json or without.',
    );
  for (const { option } of settings) command.addOption(option);
  addCommon(command, EXAMPLES, { key: false }).action(async (options: CommonOptions & Record<string, string>) => {
    const given = settings.flatMap(({ key, option }) => {
      const value = options[option.attributeName()];
      return value === undefined ? [] : [[key, value]];
    });
    // Only here: it brings all of the service with it, which the other commands do without.
    const { serve } = await import('../serve.js');
    try {
      await serve({ ...terminal.environment, ...Object.fromEntries(given) });
    } catch (error) {
      throw error instanceof StartError ? new UsageError(messageOf(error)) : error;
    }
  });
}
