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
  const text = readReadme();
  const answers: string[] = [];
  for (const example of examples(text)) answers.push(await ask('http://127.0.0.1:8080', example));
  const fresh = () => `${JSON.stringify(JSON.parse(answers.shift() as string), null, 2)}\n`;
  const updated = text.replace(EXAMPLE, (block, _picture, _budget, _path, answer: string) =>
    block.replace(`${answer}\`\`\``, () => `${fresh()}\`\`\``),
  );
  writeFileSync(README, updated);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await update();
