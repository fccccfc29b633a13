import t from 'tap';
import { type Equivalent, type Report, summarise } from '../../bench/mutation/summary.js';

const mutant = (status: string, column: number, replacement: string) => ({
  mutatorName: 'ArithmeticOperator',
  status,
  replacement,
  location: { start: { line: 2, column }, end: { line: 2, column: column + 5 } },
});
const report = (...mutants: ReturnType<typeof mutant>[]): Report => ({
  files: {
    'src/a.ts': { source: 'let x;\n  x = a + b * 1;\n', mutants },
    'src/b.ts': { source: 'let y;\nlet z;\n', mutants: [mutant('Timeout', 1, '')] },
  },
});
const KNOWN: Equivalent = { file: 'src/a.ts', line: 'x = a + b * 1;', from: 'b * 1', to: 'b / 1', reason: 'by 1' };
const MUTANTS = [mutant('Killed', 7, 'a - b'), mutant('Survived', 11, 'b / 1'), mutant('NoCoverage', 7, 'a * b')];

t.test('the score is the share of killed mutants; known equivalents count as survivors', (t) => {
  const { all, files, survivors } = summarise(report(...MUTANTS), [KNOWN]);
  const own = { killed: 1, timeout: 0, survived: 1, noCoverage: 1, equivalent: 1, score: 33.33 };
  t.same(files['src/a.ts'], own);
  t.same(all, { ...own, timeout: 1, score: 50 });
  t.match(survivors, [
    { at: '2:11', from: 'b * 1', to: 'b / 1', equivalent: 'by 1' },
    { at: '2:7', from: 'a + b', to: 'a * b', equivalent: undefined },
  ]);
  t.equal(survivors.length, 2);
  t.end();
});

t.test('an equivalent that did not survive is named, and so is a run that broke', (t) => {
  t.throws(
    () => summarise(report(mutant('Killed', 11, 'b / 1')), [KNOWN]),
    /not among the survivors: .*b \* 1 -> b \/ 1/,
  );
  t.throws(() => summarise(report(mutant('RuntimeError', 7, 'a - b')), []), /src\/a\.ts:2: .* ended as RuntimeError/);
  t.end();
});
