/** What the repository and the image hold: nothing large but weights, and nothing that does not run. */
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Whoever clones the repository has every version of a file: what is made anew again and again has to be small. */
const MOST_BYTES = 1e6;

const run = (command: string, args: readonly string[]) =>
  execFileSync(command, args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

function tracked(): string[] | undefined {
  try {
    return run('git', ['ls-files', '-z']).split('\0').filter(Boolean);
  } catch {
    return undefined;
  }
}
const FILES = tracked();
const NO_GIT = FILES === undefined && 'this is no clone, or git is missing: nobody says what belongs to the repository';

const bytesOf = (file: string): number => statSync(join(ROOT, file), { throwIfNoEntry: false })?.size ?? 0;

t.test('nothing but weights is larger than a megabyte', { skip: NO_GIT }, async (t) => {
  t.ok(FILES?.includes('package.json'));
  const large = FILES?.filter((file) => bytesOf(file) > MOST_BYTES);
  t.same(
    large?.filter((file) => !/^models\/[^/]+\/weights\.bin$/.test(file)),
    [],
  );
});

/** What the image copies from this folder as it is: the sources of COPY in the stage that runs. */
function copied(): string[] {
  const [, ...stages] = readFileSync(join(ROOT, 'Dockerfile'), 'utf8').split(/^FROM /m);
  const runtime = stages.find((stage) => / AS runtime$/m.test(stage.split('\n')[0] ?? '')) as string;
  return [...runtime.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap((m) => (m[1] as string).split(' '));
}

t.test('npm pack --dry-run lists what the image copies from here, and README.md', async (t) => {
  const { files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { files: string[] };
  // What is built comes from another stage; npm adds the other two by itself.
  const listed = [...files.filter((name) => name !== 'dist'), 'LICENSE', 'package.json'];
  t.same(listed.toSorted(), copied().sort());
});

t.test('what the build is given is what the Dockerfile copies', async (t) => {
  const lines = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
  const given = lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  const wanted = [...readFileSync(join(ROOT, 'Dockerfile'), 'utf8').matchAll(/^COPY (?!--from)(.*) \S+$/gm)];
  const names = new Set(wanted.flatMap((m) => (m[1] as string).split(' ')));
  t.same([...given].sort(), [...names].sort());
});
