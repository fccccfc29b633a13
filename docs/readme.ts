/**
 * The README's curl examples: read, run, and written with their real answers.
 *
 *   npm run build && npm run readme
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
const README = `${ROOT}README.md`;
/** A command that posts a picture, and the block of its answer. */
const EXAMPLE =
  /```sh\ncurl --data-binary @(\S+) -H 'Inference-Budget: ([^']*)' '?localhost:8080(\/classify[^\s']*)'?\n```\n\n```json\n([^`]*)```/g;

export interface Example {
  readonly picture: string;
  readonly budget: string;
  readonly path: string;
  readonly answer: string;
}

export function examples(text: string): Example[] {
  return [...text.matchAll(EXAMPLE)].map(([, picture = '', budget = '', path = '', answer = '']) => ({
    picture,
    budget,
    path,
    answer,
  }));
}

export const readReadme = (): string => readFileSync(README, 'utf8');

/** The answer of a service, as text. */
export async function ask(url: string, { picture, budget, path }: Example): Promise<string> {
  const response = await fetch(url + path, {
    method: 'POST',
    body: readFileSync(ROOT + picture),
    headers: { 'Inference-Budget': budget },
  });
  return response.text();
}

/** Needs a service on port 8080 that has nothing else to do. */
async function update(): Promise<void> {
  let text = readReadme();
  for (const example of examples(text)) {
    const answer = `${JSON.stringify(JSON.parse(await ask('http://127.0.0.1:8080', example)), null, 2)}\n`;
    const before = `${example.path.includes('?') ? `'localhost:8080${example.path}'` : `localhost:8080${example.path}`}`;
    const start = text.indexOf(`'Inference-Budget: ${example.budget}' ${before}\n`);
    const block = text.indexOf('```json\n', start) + '```json\n'.length;
    text = text.slice(0, block) + answer + text.slice(text.indexOf('```', block));
  }
  writeFileSync(README, text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await update();
