/** docs/benchmarks.md and its pages of details are what the results make of them, and can be read. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { anchor } from '../docs/generate/markdown.js';
import { FOLDER, pages } from '../docs/generate/pages.js';
import { questions } from '../docs/generate/questions.js';
import { type Material, ROOT, readMaterial, resultOf } from '../docs/generate/results.js';
import { answer } from '../docs/generate/statement.js';

const DOCS = join(ROOT, 'docs');
const MATERIAL = await readMaterial();
const MADE = pages(MATERIAL);
/** Of the page that is read first. */
const MOST_LINES = 200;

const markdown = [...MADE].filter(([path]) => path.endsWith('.md'));

t.test('every page and plot is as it is made from the results: npm run benchmarks', async (t) => {
  for (const [path, text] of MADE) t.equal(readFileSync(join(DOCS, path), 'utf8'), text, path);
  const there = readdirSync(join(DOCS, FOLDER)).map((name) => `${FOLDER}/${name}`);
  t.same(
    there.filter((path) => !MADE.has(path)),
    [],
    'nothing is left over',
  );
});

t.test('the first page is short and begins with the answers', async (t) => {
  const lines = (MADE.get(`${FOLDER}.md`) as string).split('\n');
  t.ok(lines.length <= MOST_LINES, `${lines.length} lines`);
  t.ok(lines.findIndex((line) => line.startsWith('| question')) < 6);
});

t.test('every result is linked, and every link leads somewhere', async (t) => {
  const links = markdown.flatMap(([path, text]) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((m) => ({ path, target: m[1] as string })),
  );
  const headings = new Map(
    markdown.map(([path, text]) => [
      path,
      new Set([...text.matchAll(/^#+ (.*)$/gm)].map((m) => anchor(m[1] as string))),
    ]),
  );
  for (const { path, target } of links.filter((l) => !l.target.startsWith('http'))) {
    const [file = '', heading] = target.split('#');
    const aim = join(dirname(path), file || path.split('/').pop() || '');
    t.ok(existsSync(join(DOCS, aim)), `${path}: ${target}`);
    if (heading !== undefined) t.ok(headings.get(aim)?.has(heading), `${path}: ${target}`);
  }
  for (const { file } of MATERIAL.results)
    t.ok(
      links.some((l) => l.target.endsWith(file)),
      file,
    );
});

t.test('pages hold words and figures, nothing of a program', async (t) => {
  for (const [path, text] of markdown) {
    t.notMatch(text, /\{"|NaN|undefined|\[object|Infinity/, path);
  }
});

/** Without results, but for these. */
const only = (...results: [name: string, content: object][]): Material => ({
  results: results.map(([name, content]) =>
    resultOf(`${name}.json`, JSON.stringify({ command: 'npm run x -- y', commit: 'abc', ...content })),
  ),
  tables: [],
  versions: new Map([['cifar10', 'v1']]),
  exists: () => true,
});

t.test('what was not measured is not asked', async (t) => {
  t.same(questions(only()), []);
  t.notMatch(pages(only()).get(`${FOLDER}.md`), /In pictures\n\n!/);
});

const readyAfter = (s: number) => {
  const figure = (median: number) => ({ median, mean: median, sd: 0 });
  const row = { name: 'this', cache: 'kept', n: 3, readyMs: figure(1000 * s), inTime: figure(1), pssMib: figure(300) };
  return { bench: 'ready', latencyMs: 100, rate: 150, rows: [row] };
};
const asked = (material: Material, about: RegExp) => {
  const question = questions(material).find((q) => about.test(q.ask));
  return question && answer(question);
};

t.test('an answer follows from the figures', async (t) => {
  t.equal(asked(only(['ready-cifar10', readyAfter(2.9)]), /How soon/), '2.9 s (cifar10): as demanded');
  t.equal(asked(only(['ready-cifar10', readyAfter(3.1)]), /How soon/), '3.1 s (cifar10): **not as demanded**');
  t.equal(
    asked(only(['ready-cifar10', readyAfter(2.9)], ['ready-shipped', readyAfter(5.1)]), /How soon/),
    '2.9 s (cifar10), 5.1 s (shipped): **in part**: 1 of 2 demands hold',
  );
  t.match(pages(only(['ready-cifar10', readyAfter(3.1)])).get(`${FOLDER}.md`), /Not reached[\s\S]*3\.1 ± 0\.0 s/);
});

const loadOf = (u: Record<string, readonly number[]>) => ({
  bench: 'load',
  model: 'cifar10',
  capacityPerS: 100,
  closedPerS: 100,
  deadlineMs: 50,
  cheapestRuns: 9,
  seconds: 1,
  profile: { full: 0.9 },
  runs: Object.entries(u).flatMap(([participant, all]) =>
    all.map((uProfiled) => ({
      trace: 'poisson 0.5',
      bursty: false,
      participant,
      summary: {
        arrivals: 10,
        uProfiled,
        uMeasured: uProfiled,
        attainment: 1,
        promiseKept: 1,
        refused: {},
        failed: {},
        late: 0,
        meanShare: 1,
        clientMs: { p50: 1, p99: 1, p999: 1 },
        deliveredAccuracy: { profiled: 0.9 },
        void: false,
      },
    })),
  ),
});

t.test(
  'fixed instances, rivals and other versions are asked about apart, and 0.2 points are no difference',
  async (t) => {
    const all = only([
      'load-cifar10',
      loadOf({ dimmer: [0.9, 0.902], 'fixed:full': [0.9029], slackfit: [0.9031], 'checkout:before': [0.91, 0.91] }),
    ]);
    t.equal(asked(all, /best fixed/), 'yes');
    t.equal(asked(all, /other ways/), '**no**');
    t.match(MADE.get(`${FOLDER}/cifar10.md`), /Under real load/);
    t.match(pages(all).get(`${FOLDER}/cifar10.md`), /checkout:before/);
  },
);

t.test('a result of a bench that no section is written for is listed all the same', async (t) => {
  t.match(
    pages(only(['novel', { bench: 'novel' }])).get(`${FOLDER}/service.md`),
    /## novel \(novel\)[\s\S]*novel\.json/,
  );
});

t.test('a result of a family that was exported anew says so', async (t) => {
  const old = { ...loadOf({ dimmer: [0.9] }), modelVersion: 'v0' };
  t.match(pages(only(['load-cifar10', old])).get(`${FOLDER}/cifar10.md`), /Older than the family.*`v0`.*`v1`/);
});
