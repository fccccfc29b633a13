/** The curl commands of the docs, as requests: what people copy is what a test sends. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Pages whose commands are run. */
export const PAGES = ['README.md', 'docs/api.md'];
export const readPage = (page: string): string => readFileSync(ROOT + page, 'utf8');

/** A command in a block of its own, and the block of its answer: `jsonc` where something is left out. */
export const EXAMPLE = /```sh\n(curl [^`]*)\n```\n\n```jsonc?\n([^`]*)\n```/g;

export interface Example {
  readonly command: string;
  readonly answer: string;
}

export const examplesOf = (text: string): Example[] =>
  [...text.matchAll(EXAMPLE)].map(([, command = '', answer = '']) => ({ command, answer }));

export interface Request {
  /** With its query. */
  readonly path: string;
  readonly init: RequestInit;
  /** Text of Inference-Budget; empty if there is none. */
  readonly budget: string;
}

const HOST = 'localhost:8080';
/** What the docs use of curl. */
const OPTIONS = {
  'data-binary': { type: 'string' },
  header: { type: 'string', short: 'H', multiple: true },
  form: { type: 'string', short: 'F', multiple: true },
} as const;

/** Raises Error for anything else of curl: it would not be tested. */
export function requestOf(command: string): Request {
  // Words as a shell splits them; of quotes the docs use single ones alone.
  const words = [...command.matchAll(/'([^']*)'|([^\s']+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
  const { values, positionals } = parseArgs({ args: words.slice(1), options: OPTIONS, allowPositionals: true });
  const [url = '', ...others] = positionals;
  if (!url.startsWith(HOST) || others.length > 0) throw new Error(`one ${HOST}/... expected: ${command}`);
  const headers = new Headers(values.header?.map(headerOf));
  const picture = values['data-binary'];
  const body = values.form ? formOf(values.form) : picture && fileOf(picture, '@');
  const init = { method: body ? 'POST' : 'GET', headers, ...(body && { body }) };
  return { path: url.slice(HOST.length), init, budget: headers.get('Inference-Budget') ?? '' };
}

/** given: `@` and a path, or what comes before it as well. */
function fileOf(given: string, before: string): Uint8Array<ArrayBuffer> {
  if (!given.startsWith(before)) throw new Error(`${before}FILE expected: ${given}`);
  return Uint8Array.from(readFileSync(ROOT + given.slice(before.length)));
}

function formOf(parts: readonly string[]): FormData {
  const form = new FormData();
  for (const part of parts) form.append('image', new File([fileOf(part, 'image=@')], basename(part)));
  return form;
}

function headerOf(line: string): [string, string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}

/** The answer of the service at this address. */
export async function ask(url: string, { path, init }: Request): Promise<string> {
  return (await fetch(url + path, init)).text();
}
