/** The view "One picture": classifies a picture whenever the picture or the budget changes. */
import { useCallback, useEffect, useState } from 'preact/hooks';
import { Cost, Curl, inWords, Predictions, Timing } from './answer.tsx';
import { type Answer, classify, type Model, type Problem } from './api.ts';
import { headerOf, KINDS, type Kind, startWish, type Wish } from './budget.ts';
import { Dial } from './dial.tsx';
import { Frontier } from './frontier.tsx';
import { problemOf } from './hooks.ts';
import { fetchSample, type Picture, PicturePicker, SAMPLES } from './picture.tsx';
import { ProblemCard } from './problem.tsx';
import { Sweep } from './sweep.tsx';

/**
 * A request is sent when the dial has not moved for this time; while it is turned, it changes dozens of times a second.
 */
const DEBOUNCE_MS = 70;

interface Outcome {
  readonly answer?: Answer;
  readonly problem?: Problem;
  readonly retryAfterS?: number | undefined;
}

interface Props {
  readonly models: readonly Model[];
  /** A new value repeats the request. */
  readonly again: number;
}

export function OnePicture({ models, again }: Props) {
  const [name, setName] = useState(() => (models.find((m) => m.default) ?? models[0])?.name ?? '');
  const model = models.find((m) => m.name === name) ?? (models[0] as Model);
  const [wish, setWish] = useState<Wish>(() => startWish(model));
  const [pinned, setPinned] = useState('');
  const [picture, setPicture] = useState<Picture>();
  const [trouble, setTrouble] = useState<unknown>();
  const [tries, setTries] = useState(0);
  const budget = headerOf(wish);
  const question = { model: model.name, budget, instance: pinned || undefined };
  const { outcome, busy } = useAnswer({ ...question, picture, tries: tries + again });

  useEffect(() => {
    const abort = new AbortController();
    fetchSample(SAMPLES[0].name, abort.signal).then(
      (first) => setPicture((chosen) => chosen ?? first),
      (error) => abort.signal.aborted || setTrouble(error),
    );
    return () => abort.abort();
  }, []);
  const take = useCallback((chosen: Picture) => {
    setTrouble(undefined);
    setPicture(chosen);
  }, []);
  const choose = (next: string) => {
    const found = models.find((m) => m.name === next);
    if (!found) return;
    setName(next);
    setWish(startWish(found));
    setPinned('');
  };
  const toCost = (share: number) => {
    setPinned('');
    // Rounded up: rounded down, the budget would forbid this very instance.
    setWish({
      ...wish,
      kind: 'cost',
      values: { ...wish.values, cost: Math.min(1, Math.ceil(1000 * share) / 1000) },
      also: [],
    });
  };
  const { answer, problem, retryAfterS } = outcome;
  const ran = answer?.results[0]?.model_instance.id;
  return (
    <>
      <div class="row between wrap">
        <div class="lead">
          <h1>One picture, many costs.</h1>
          <p>Every picture says what its answer may cost. Turn the dial and see what that buys.</p>
        </div>
        {models.length > 1 && (
          <label class="family">
            <span>Family</span>
            <select value={model.name} onChange={(event) => choose(event.currentTarget.value)}>
              {models.map((m) => (
                <option key={m.name} value={m.name}>
                  {m.name}: {m.labels.length} classes
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      <div class="columns">
        <section class="card photo" aria-label="The picture">
          <PicturePicker picture={picture} onPicture={take} onTrouble={setTrouble} />
          {trouble !== undefined && <ProblemCard problem={problemOf(trouble).problem} />}
        </section>
        <Dial {...{ model, wish, ran, pinned }} onWish={setWish} onPinned={setPinned} />
        <section class="card answer" aria-label="The answer" aria-busy={busy}>
          <p class="hidden" role="status">
            {answer && !busy ? inWords(answer) : ''}
          </p>
          {/* Answer and problem share one place with the height of the taller one, so that nothing below moves. */}
          <div class="stack">
            {problem && (
              <ProblemCard problem={problem} retryAfterS={retryAfterS} onRetry={() => setTries(tries + 1)}>
                <Nearest nearest={problem.nearest} wish={wish} onWish={setWish} />
              </ProblemCard>
            )}
            <div class={problem ? 'away' : ''}>
              <p class="quiet small">What the network sees, and how sure it is</p>
              <Predictions answer={answer} />
              <p class="reason">
                {answer ? answer.results[0]?.reason : ' '}
                {answer && !answer.budget.met && <strong> (budget not met)</strong>}
              </p>
              <Cost answer={answer} model={model} />
              <Timing answer={answer} />
            </div>
          </div>
          <Curl question={question} picture={picture ?? { ...SAMPLES[0], sample: true }} />
        </section>
        <section class="card plot" aria-labelledby="frontier-title">
          <h2 id="frontier-title">Accuracy and cost of every instance</h2>
          <p class="quiet small">
            Each point is {model.networks ? 'one of the networks' : 'the same network'}, run at another cost. Costs and
            accuracies that the budget forbids are shaded.
          </p>
          <Frontier model={model} chosen={ran} wish={wish} />
        </section>
      </div>
      <Sweep model={model} picture={picture} onCost={toCost} />
    </>
  );
}

/** Buttons to take one of the nearest feasible values from a refusal. */
function Nearest({ nearest, wish, onWish }: { nearest: Problem['nearest']; wish: Wish; onWish(wish: Wish): void }) {
  if (!nearest) return null;
  return (
    <>
      {Object.entries(nearest)
        .filter((entry): entry is [Kind, number] => KINDS.includes(entry[0] as Kind))
        .map(([kind, value]) => (
          <button
            key={kind}
            type="button"
            onClick={() => onWish({ ...wish, values: { ...wish.values, [kind]: value } })}
          >
            Take {kind}={value}
          </button>
        ))}
      <button type="button" onClick={() => onWish({ ...wish, strict: false })}>
        Come as near as possible
      </button>
    </>
  );
}

interface Asked {
  readonly model: string;
  readonly budget: string;
  readonly instance: string | undefined;
  readonly picture: Picture | undefined;
  readonly tries: number;
}

/**
 * Sends the question after DEBOUNCE_MS without a change. A new question aborts the previous one. tries: a new value
 * repeats the question.
 */
function useAnswer({ model, budget, instance, picture, tries }: Asked): { outcome: Outcome; busy: boolean } {
  const [outcome, setOutcome] = useState<Outcome>({});
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (!picture) return;
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      setBusy(true);
      try {
        const answer = await classify({ model, budget, instance }, picture.blob, abort.signal);
        setOutcome({ answer });
      } catch (error) {
        if (abort.signal.aborted) return;
        setOutcome(problemOf(error));
      }
      setBusy(false);
    }, DEBOUNCE_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [model, budget, instance, picture, tries]);
  return { outcome, busy };
}
