/** What every command has. */
import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { messageOf } from '../errors.js';
import { type EXIT, UsageError } from './failure.js';
import { KEY_VARIABLE, serviceUrl, TIMEOUT_MS } from './service.js';
import type { Terminal } from './terminal.js';

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

export interface Context {
  readonly terminal: Terminal;
  /** What the process ends with. */
  readonly end: (status: ExitStatus) => void;
}

export interface CommonOptions {
  readonly json?: true;
}

/** Beside src/ and, once built, beside dist/. */
export const ROOT = new URL('../../', import.meta.url);

export const VERSION = (JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as { version: string }).version;

const STATUSES = `
Exit status:
  0  done
  1  it failed: the service refused or was not there, a measurement cannot be believed, a goal was missed
  2  asked wrongly: an option, an argument or a setting
`;

const KEY = `
Environment:
  ${KEY_VARIABLE}  API key, as --key, but not seen by whoever may list processes
`;

/** examples: lines of commands and what they do. */
export function addCommon(command: Command, examples: string, { key = true } = {}): Command {
  const json = new Option('--json', 'one JSON document on stdout and nothing else there; failures as well');
  if (key) command.option('--key <key>', `API key, where the service wants one (default: ${KEY_VARIABLE})`);
  return addHelp(command.addOption(json), examples, key);
}

export function addHelp(command: Command, examples: string, key = true): Command {
  return command
    .version(VERSION, '-V, --version', 'the version of dimmer')
    .addHelpText('after', `\nExamples:\n${examples}${key ? KEY : ''}${STATUSES}`);
}

export interface AskOptions {
  readonly url?: URL;
  readonly timeout?: number;
  readonly key?: string;
}

export function addTimeout(command: Command): Command {
  return command.option(
    '--timeout <ms>',
    `time for an answer, after which it has failed (default: ${TIMEOUT_MS})`,
    whole(1, 3_600_000),
  );
}

/** An argument of commander that is made by something that raises UsageError. */
export function parsing<T>(make: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return make(text);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const message = messageOf(error);
      throw new InvalidArgumentError(`${message.charAt(0).toUpperCase()}${message.slice(1)}.`);
    }
  };
}

export const urlArgument = parsing(serviceUrl);

export function whole(least: number, most: number): (text: string) => number {
  return parsing((text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new UsageError(`expected a whole number from ${least} to ${most}`);
  });
}

/** Above 0. */
export function positive(most: number): (text: string) => number {
  return parsing((text) => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (value > 0 && value <= most) return value;
    throw new UsageError(`expected a number above 0 and up to ${most}`);
  });
}

/** The one document of --json. What is no number is null. */
export function writeJson({ out }: Terminal, document: unknown): void {
  out(`${JSON.stringify(document, null, 2)}\n`);
}
