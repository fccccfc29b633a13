/** Shows an answer: labels, cost, instance and time. */
import type { Answer, Instance, Model, Question } from './api.ts';
import { hasApiKey, pathOf } from './api.ts';
import { glow } from './colours.ts';
import { CopyLine } from './copy-line.tsx';
import { flops, ms, percent, shell } from './format.ts';
import type { Picture } from './picture.tsx';

/** Rows of labels: the service's default number. Rows stay empty if there are fewer labels, so that nothing moves. */
const ROWS = 5;

export function Predictions({ answer }: { answer: Answer | undefined }) {
  const predictions = answer?.results[0]?.predictions ?? [];
  return (
    <ol class="predictions">
      {Array.from({ length: ROWS }, (_, n) => {
        const found = predictions[n];
        return (
          <li key={n} class={n === 0 ? 'first' : ''}>
            {found ? (
              <>
                <span class="label">{found.label}</span>
                <span class="probability">{percent(found.probability, 1)}</span>
                <span class="bar" aria-hidden="true">
                  <span style={{ width: `${100 * found.probability}%` }} />
                </span>
              </>
            ) : (
              <span class="label">&nbsp;</span>
            )}
          </li>
        );
      })}
    </ol>
  );
}

export function Cost({ answer, model }: { answer: Answer | undefined; model: Model }) {
  const result = answer?.results[0];
  const instance = model.instances.find((i) => i.id === result?.model_instance.id);
  return (
    <dl class="facts">
      <div>
        <dt>Cost</dt>
        <dd>
          <span class="dot" style={{ background: glow(result?.cost.share ?? 0) }} aria-hidden="true" />
          {result ? percent(result.cost.share, 1) : '–'}
        </dd>
        <dd class="quiet small">{result ? flops(result.cost.flops) : 'of the full network'}</dd>
      </div>
      <div>
        <dt>Accuracy (95 % interval)</dt>
        <dd>{instance ? percent(instance.top1, 1) : '–'}</dd>
        <dd class="quiet small">{instance ? spread(instance) : 'of test pictures'}</dd>
      </div>
      <div>
        <dt>Instance</dt>
        <dd>{result?.model_instance.id ?? '–'}</dd>
        <dd class="quiet small">{result ? layers(result.model_instance) : 'what ran'}</dd>
      </div>
    </dl>
  );
}

const spread = ({ interval: [low, high] }: Instance) => `${percent(low, 1)} to ${percent(high, 1)}`;
const layers = ({ p, r }: { p: number; r: number }) =>
  p === 0 ? 'no downsampling' : `${percent(r)} size at point ${p}`;

const STAGES = [
  ['decodeMs', 'decode'],
  ['queueMs', 'wait'],
  ['inferenceMs', 'network'],
] as const;

export function Timing({ answer }: { answer: Answer | undefined }) {
  const timing = answer?.results[0]?.timing;
  const sum = timing ? STAGES.reduce((all, [key]) => all + timing[key], 0) || 1 : 1;
  return (
    <div class="timing">
      <div class="stages" aria-hidden="true">
        {timing &&
          STAGES.map(([key]) => <span key={key} class={key} style={{ width: `${(100 * timing[key]) / sum}%` }} />)}
      </div>
      <p class="small">
        {STAGES.map(([key, name]) => (
          <span key={key} class="stage">
            <span class={`swatch ${key}`} aria-hidden="true" /> {name} {timing ? ms(timing[key]) : '–'}
          </span>
        ))}
        <span class="stage">
          total <strong>{timing ? ms(timing.totalMs) : '–'}</strong>
        </span>
      </p>
    </div>
  );
}

/** A curl command that sends the same request. A sample is fetched from the service first: a user has no such file. */
export function curlLine(question: Question, { name, sample }: Pick<Picture, 'name' | 'sample'>): string {
  const [fetched, file] = sample
    ? [`curl -s ${shell(`${location.origin}/samples/${name}`)} | `, '@-']
    : ['', `@${name}`];
  const url = shell(`${location.origin}${pathOf(question)}`);
  // The variable, and not the key itself: the line is shown, copied and kept in the history of a shell.
  const key = hasApiKey() ? ' -H "X-Api-Key: $DIMMER_API_KEY"' : '';
  return `${fetched}curl --data-binary ${shell(file)} -H ${shell(`Inference-Budget: ${question.budget}`)}${key} ${url}`;
}

export function Curl({ question, picture }: { question: Question; picture: Pick<Picture, 'name' | 'sample'> }) {
  return <CopyLine label="The same from a shell" text={curlLine(question, picture)} />;
}

/** The answer in one sentence, for screen readers. */
export function inWords(answer: Answer): string {
  const result = answer.results[0];
  const first = result?.predictions[0];
  if (!result || !first) return '';
  const met = answer.budget.met ? '' : ' The budget was not met.';
  return `${first.label}, ${percent(first.probability)} sure, for ${percent(result.cost.share)} of the cost.${met}`;
}
