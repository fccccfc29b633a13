/**
 * Writes the answers of all commands in README.md and docs/api.md anew, cut as they were:
 *
 *   npm run build && npm start                       # a service that has nothing else to do
 *   npm run readme [-- http://localhost:8080]
 */
import { writeFileSync } from 'node:fs';
import { ask, EXAMPLE, examplesOf, PAGES, ROOT, readPage, requestOf } from './commands.js';
import { cutAs, type Json, parseCut, print } from './cut.js';

const url = process.argv[2] ?? 'http://localhost:8080';

const ready = await fetch(`${url}/readyz`);
if (!ready.ok) throw new Error(`${url} is not ready, so its answers would be refusals: ${await ready.text()}`);

for (const page of PAGES) {
  const text = readPage(page);
  const answers: string[] = [];
  for (const { command, answer } of examplesOf(text)) {
    const real = JSON.parse(await ask(url, requestOf(command))) as Json;
    answers.push(print(cutAs(parseCut(answer), real)));
  }
  const updated = text.replace(EXAMPLE, (_block, command: string) => {
    const answer = answers.shift() as string;
    return `\`\`\`sh\n${command}\n\`\`\`\n\n\`\`\`${answer.includes('// …') ? 'jsonc' : 'json'}\n${answer}\n\`\`\``;
  });
  writeFileSync(ROOT + page, updated);
}
