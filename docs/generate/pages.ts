/** docs/benchmarks.md, its pages of details and its plots, all of them from the results. Pure. */
import { familyPage, OF_A_FAMILY } from './family.js';
import { anchor, stacked, table } from './markdown.js';
import { type Plot, plots } from './plots.js';
import { questions } from './questions.js';
import { familyOf, type Material, type Result, whenWhere } from './results.js';
import { headingOf } from './section.js';
import { servicePage } from './service.js';
import { answer, isReached, type Question, reached, type Statement } from './statement.js';

/** Text of each file by its path within docs. */
export type Pages = ReadonlyMap<string, string>;

export const FOLDER = 'benchmarks';
const SERVICE = 'service';

/** The page of details that shows a result. */
const pageOf = (result: Result, material: Material): string =>
  (result.bench in OF_A_FAMILY || result.bench === 'table' ? familyOf(result, material) : undefined) ?? SERVICE;

export function pages(material: Material): Pages {
  const drawn = plots(material);
  const on = (page: string) => material.results.filter((r) => pageOf(r, material) === page);
  const families = [...material.versions.keys()].filter(
    (family) => on(family).length > 0 || material.tables.some(({ table: t }) => t.family === family),
  );
  const end = (text: string) => `${text}\n`;
  return new Map([
    [`${FOLDER}.md`, end(front(material, drawn, families))],
    ...families.map((f) => [`${FOLDER}/${f}.md`, end(familyPage(f, on(f), drawn, material))] as const),
    [`${FOLDER}/${SERVICE}.md`, end(servicePage(on(SERVICE), drawn, material))],
    ...drawn.map(({ file, svg }) => [`${FOLDER}/${file}`, svg] as const),
  ]);
}

/** Of the plots, those that answer the first questions; the others are on the pages of details. */
const ON_FRONT: readonly Plot['kind'][] = ['virtual', 'overload', 'memory', 'frontier'];

function front(material: Material, drawn: readonly Plot[], families: readonly string[]): string {
  const all = questions(material);
  const judged = all.filter((q) => reached(q) !== undefined);
  const missed = judged.filter((q) => !isReached(q));
  return [
    '# What was measured',
    `Made by \`npm run benchmarks\` from the JSON in \`bench/results\`; answers follow from the figures. Of ${judged.length} questions with a goal ${
      judged.length - missed.length
    } are answered as hoped for. ${
      missed.length === 0
        ? 'Nothing is missed.'
        : `Not everywhere reached (**bold**, and figure by figure [below](#not-reached)): ${missed.map((q) => `_${q.ask}_`).join(' ')}`
    }`,
    table(
      ['question', 'answer', 'measured', 'goal', 'command', 'raw result: commit, day, host'],
      all.map((q) => row(q, material)),
    ),
    'U is the accuracy of what was answered in time, over all requests: one figure for in time and right. ± is a standard\ndeviation, n the number of runs or seeds; what is in brackets is the least and the most. Other words are in the\n[glossary](glossary.md).',
    ...(missed.length > 0 ? ['## Not reached', ...notReached(missed, material)] : []),
    '## In pictures',
    ...drawn.filter((p) => ON_FRONT.includes(p.kind)).map((p) => `![${p.alt}](${FOLDER}/${p.file})`),
    '## In detail',
    [...families, SERVICE].map((page) => `- [${page}](${FOLDER}/${page}.md)`).join('\n'),
  ].join('\n\n');
}

/** Results are linked where they lie, and the section that shows them. */
const linked = (result: Result, material: Material): string =>
  `[${result.name}](${FOLDER}/${pageOf(result, material)}.md#${anchor(headingOf(result))})`;

const short = ({ command }: Result): string => `\`${command.split(' -- ')[0]}\``;

function row(question: Question, material: Material): string[] {
  const { ask, goal, statements } = question;
  return [
    ask,
    answer(question),
    stacked(statements.map((s) => s.figure)),
    goal,
    stacked([...new Set(statements.map((s) => short(s.result)))]),
    stacked(
      statements.map(({ result }) => `${linked(result, material)} ([raw](../${result.file})): ${whenWhere(result)}`),
    ),
  ];
}

function notReached(missed: readonly Question[], material: Material): string[] {
  const lines = missed.flatMap((question) =>
    question.statements.flatMap(({ result, checks }): [Question, Result, Statement['checks']][] => {
      const failed = checks.filter((c) => !c.holds);
      return failed.length > 0 ? [[question, result, failed]] : [];
    }),
  );
  return [
    'Each demand that does not hold: what it is about, what was measured, and what was demanded.',
    table(
      ['question', 'result', 'about', 'measured', 'demanded'],
      lines.map(([{ ask }, result, failed]) => [
        ask,
        linked(result, material),
        stacked(failed.map((c) => c.what)),
        stacked(failed.map((c) => c.measured)),
        stacked(failed.map((c) => c.goal)),
      ]),
    ),
  ];
}
