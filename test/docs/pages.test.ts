/** The pages for people: short, true to the code, and no link that leads nowhere. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import t from 'tap';
import { ROOT, readPage } from '../../docs/commands.js';
import { fill, startText, withFigures } from '../../docs/figures.js';
import { configSchema } from '../../src/config.js';
import { KEEP_ALIVE_MS } from '../../src/http/listener.js';
import { MAX_WATCHERS } from '../../src/http/live.js';
import { PROBLEMS } from '../../src/http/problem.js';
import { createMetrics } from '../../src/telemetry/metrics.js';

const MARKDOWN = [
  'README.md',
  'CHANGELOG.md',
  'clients/typescript/README.md',
  ...['docs', 'docs/examples', 'training'].flatMap((folder) =>
    readdirSync(ROOT + folder)
      .filter((file) => file.endsWith('.md'))
      .map((file) => `${folder}/${file}`),
  ),
];

t.test('README can be read in a minute', async (t) => {
  t.ok(readPage('README.md').trimEnd().split('\n').length <= 150, 'at most 150 lines');
  const picture = `${ROOT}docs/page.webp`;
  t.ok(statSync(picture).size <= 300_000, 'its picture is small');
  const { pages = 1, loop } = await sharp(picture, { animated: true }).metadata();
  t.ok(pages > 1 && loop !== 0, 'it moves, and comes to rest');
});

t.test('figures are those of models/ and bench/results', async (t) => {
  const text = readPage('README.md');
  t.equal(text, await withFigures(text), 'run npm run benchmarks');
  const [, peers] = /<!-- peers -->\n([\s\S]*?)\n<!-- \/peers -->/.exec(text) ?? [];
  t.ok(peers, 'there is a place for the comparison with other servers');
  if (!existsSync(`${ROOT}bench/results/peers.json`)) {
    t.equal(
      peers,
      'Not measured yet: `bench/results/peers.json` is missing.',
      'and nothing in it that nobody measured',
    );
  }
});

t.test('a figure that is missing is said to be, and a place that is missing is noticed', (t) => {
  t.match(startText(undefined), /Not measured/);
  t.equal(fill('a\n<!-- x -->\nold\n<!-- /x -->\nb', 'x', '$& new'), 'a\n<!-- x -->\n$& new\n<!-- /x -->\nb');
  t.throws(() => fill('text', 'x', 'new'), /no <!-- x -->/);
  t.end();
});

t.test('every error is in the table of docs/api.md, with its status', (t) => {
  const rows = [...readPage('docs/api.md').matchAll(/^\| (\d{3}) +\| `([a-z-]+)` +\|/gm)];
  t.same(
    rows.map(([, status, code]) => `${code} ${status}`).sort(),
    Object.entries(PROBLEMS)
      .map(([code, { status }]) => `${code} ${status}`)
      .sort(),
  );
  t.end();
});

t.test('every setting that is named is one', (t) => {
  const settings = new Set(Object.keys(configSchema.shape));
  for (const page of ['README.md', 'docs/api.md']) {
    const named = [...readPage(page).matchAll(/`([A-Z]+(?:_[A-Z]+)+)\b/g)].map(([, name = '']) => name);
    t.ok(named.length > 0, page);
    t.same(
      named.filter((name) => !settings.has(name)),
      [],
      page,
    );
  }
  t.end();
});

t.test('a default that is named is the one', (t) => {
  const UNITS: Record<string, number> = { '': 1, s: 1000, MiB: 1024 ** 2, GiB: 1024 ** 3 };
  const text = readPage('README.md') + readPage('docs/api.md');
  const named = [...text.matchAll(/`([A-Z_]+)` \((\d+) ?(\w*)[;)]/g)];
  t.ok(named.length >= 5);
  const defaults = configSchema.parse({});
  for (const [all, name = '', value, unit = ''] of named) {
    t.equal(defaults[name as keyof typeof defaults], Number(value) * (UNITS[unit] ?? Number.NaN), all);
  }
  t.match(text, `Idle connections are kept for ${KEEP_ALIVE_MS / 1000} s`);
  t.match(text, `at most ${MAX_WATCHERS} watch at once`);
  t.end();
});

t.test('every metric that is named is one', async (t) => {
  const all = await createMetrics({ ofProcess: false }).registry.getMetricsAsJSON();
  const metrics = new Set(all.map(({ name }) => name));
  const named = MARKDOWN.flatMap((page) =>
    [...readPage(page).matchAll(/\bdimmer_\w+/g)].map(([name]) => ({ page, name })),
  );
  t.ok(named.some(({ page }) => page === 'docs/api.md'));
  t.same(
    named.filter(({ name }) => !metrics.has(name)),
    [],
  );
});

/** As GitHub makes it of a heading. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replace(/ /g, '-');
const anchorsOf = (text: string) => [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading));

t.test('every link between the pages leads somewhere', (t) => {
  for (const page of MARKDOWN) {
    const text = readFileSync(ROOT + page, 'utf8');
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
    for (const link of links.filter((l) => !/^[a-z]+:/.test(l))) {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : join(dirname(page), path);
      const there = existsSync(ROOT + target);
      t.ok(there, `${page}: ${link}`);
      if (there && anchor !== undefined) {
        t.ok(anchorsOf(readFileSync(ROOT + target, 'utf8')).includes(anchor), `${page}: ${link}`);
      }
    }
  }
  t.end();
});
