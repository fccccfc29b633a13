/** Sweep: classifies one picture with every served instance, from the cheapest to the full network. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Answer, classify, type Instance, type Model, type Problem } from './api.ts';
import { chosenFrom } from './budget.ts';
import { distinct, glow } from './colours.ts';
import { percent } from './format.ts';
import { problemOf } from './hooks.ts';
import type { Picture } from './picture.tsx';
import { ProblemCard } from './problem.tsx';

/** One instance of the sweep; its answer is undefined until it comes. */
interface Cell {
  readonly instance: Instance;
  readonly answer: Answer | undefined;
}

interface Props {
  readonly model: Model;
  readonly picture: Picture | undefined;
  /** Called when the user chooses an instance, with its cost in 0..1. */
  onCost(share: number): void;
}

export function Sweep({ model, picture, onCost }: Props) {
  const [cells, setCells] = useState<readonly Cell[]>([]);
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const abort = useRef<AbortController>(undefined);
  // Another picture or family makes the old answers meaningless.
  useEffect(() => {
    setCells([]);
    setProblem(undefined);
    setBusy(false);
    return () => abort.current?.abort();
  }, [model.name, picture]);

  const sweep = async () => {
    if (!picture) return;
    abort.current?.abort();
    abort.current = new AbortController();
    const { signal } = abort.current;
    const all = chosenFrom(model).sort((a, b) => a.flops - b.flops);
    const answers: Answer[] = [];
    const show = () => setCells(all.map((instance, n) => ({ instance, answer: answers[n] })));
    setProblem(undefined);
    setBusy(true);
    show();
    try {
      // One after another, so that requests do not slow each other down.
      for (const { id } of all) {
        answers.push(await classify({ model: model.name, budget: '', instance: id }, picture.blob, signal, 1));
        show();
      }
    } catch (error) {
      if (signal.aborted) return;
      setProblem(problemOf(error).problem);
    }
    setBusy(false);
  };
  const labels = [...new Set(cells.flatMap((c) => labelOf(c) ?? []))];
  const done = cells.length > 0 && cells.every((c) => c.answer);
  return (
    <section class="card" aria-labelledby="sweep-title">
      <div class="row between">
        <h2 id="sweep-title">The same picture at every cost</h2>
        <button type="button" disabled={!picture || busy} onClick={sweep}>
          Sweep
        </button>
      </div>
      <p class="quiet small" role="status">
        {done ? changes(cells) : busy ? 'Asking each instance…' : 'Asks each instance once, the cheapest first.'}
      </p>
      {problem && <ProblemCard problem={problem} />}
      {cells.length > 0 && (
        <ol class="sweep">
          {cells.map((cell, n) => (
            <SweepCell
              key={cell.instance.id}
              cell={cell}
              colour={distinct(labels.indexOf(labelOf(cell) ?? ''))}
              turned={n > 0 && cell.answer !== undefined && labelOf(cell) !== labelOf(cells[n - 1] as Cell)}
              onCost={onCost}
            />
          ))}
        </ol>
      )}
    </section>
  );
}

const predictionOf = ({ answer }: Cell) => answer?.results[0]?.predictions[0];
const labelOf = (cell: Cell) => predictionOf(cell)?.label;

function SweepCell({
  cell,
  colour,
  turned,
  onCost,
}: {
  cell: Cell;
  colour: string;
  turned: boolean;
  onCost: Props['onCost'];
}) {
  const { share } = cell.instance;
  const found = predictionOf(cell);
  return (
    <li class={turned ? 'turned' : ''}>
      <button type="button" onClick={() => onCost(share)} title={`Turn the dial to ${percent(share, 1)}`}>
        <span class="cost">
          <span class="dot" style={{ background: glow(share) }} aria-hidden="true" />
          {percent(share)}
        </span>
        <span class="label" style={{ borderColor: found ? colour : 'transparent' }}>
          {found?.label ?? '…'}
        </span>
        <span class="quiet small">{found ? percent(found.probability) : ' '}</span>
        {turned && <span class="hidden">, the answer changes here</span>}
      </button>
    </li>
  );
}

/** Text about where the most probable label changes. */
function changes(cells: readonly Cell[]): string {
  const turns = cells.flatMap((cell, n) => {
    const before = cells[n - 1];
    if (!before || labelOf(before) === labelOf(cell)) return [];
    return [`${labelOf(before)} → ${labelOf(cell)} at ${percent(cell.instance.share)}`];
  });
  const [first] = cells;
  if (turns.length === 0 && first) return `The same answer at every cost, from ${percent(first.instance.share)} up.`;
  return `The answer changes (framed): ${turns.join('; ')}.`;
}
