/** The dial (a slider) with which the user sets the budget of a request. */
import type { Model } from './api.ts';
import { chosenFrom, headerOf, KIND_NAMES, KINDS, type Kind, scaleOf, type Wish } from './budget.ts';
import { glow } from './colours.ts';

interface Props {
  readonly model: Model;
  readonly wish: Wish;
  /** Id of the instance that gave the last answer. */
  readonly ran: string | undefined;
  /** Id of the pinned instance; empty if the budget decides. */
  readonly pinned: string;
  onWish(wish: Wish): void;
  onPinned(instance: string): void;
}

export function Dial({ model, wish, ran, pinned, onWish, onPinned }: Props) {
  const { kind, values } = wish;
  const scale = scaleOf(kind, model);
  const value = values[kind];
  const turn = (place: number) => onWish({ ...wish, values: { ...values, [kind]: scale.valueAt(place) } });
  return (
    <section class="card dial" aria-labelledby="dial-title">
      <h2 id="dial-title">What may the answer cost?</h2>
      <fieldset class="kinds">
        <legend class="hidden">Kind of budget</legend>
        {KINDS.map((k) => (
          <label key={k}>
            <input
              type="radio"
              name="kind"
              value={k}
              checked={k === kind}
              onChange={() => onWish({ ...wish, kind: k })}
            />
            <span>{KIND_NAMES[k]}</span>
          </label>
        ))}
      </fieldset>
      <div class="value">
        <output class="big" for="dial">
          {scale.text(value)}
        </output>
        <span class="quiet">{scale.meaning}</span>
      </div>
      <input
        id="dial"
        type="range"
        min={0}
        max={scale.places}
        step={1}
        value={scale.placeOf(value)}
        aria-label={`${KIND_NAMES[kind]}, ${scale.meaning}`}
        aria-valuetext={scale.text(value)}
        onInput={(event) => turn(Number(event.currentTarget.value))}
      />
      <Marks {...{ model, kind, ran }} />
      <details class="more">
        <summary>More: several bounds at once, or one instance</summary>
        <More {...{ model, wish, pinned, onWish, onPinned }} />
      </details>
    </section>
  );
}

/** Marks on the dial, one for each served instance. Turning it between two marks does not change the answer. */
function Marks({ model, kind, ran }: { model: Model; kind: Kind; ran: string | undefined }) {
  const scale = scaleOf(kind, model);
  return (
    <div class="marks" aria-hidden="true">
      {chosenFrom(model).map((instance) => (
        <span
          key={instance.id}
          class={instance.id === ran ? 'ran' : ''}
          style={{
            left: `${(100 * scale.placeOf(scale.markOf(instance))) / scale.places}%`,
            background: glow(instance.share),
          }}
        />
      ))}
    </div>
  );
}

/** Limits of the number fields. */
const LIMITS: Record<Kind, { min: number; max?: number; step: number; label: string }> = {
  cost: { min: 0.001, max: 1, step: 0.001, label: 'Cost at most (share of the full network)' },
  flops: { min: 1, step: 1, label: 'FLOPs at most' },
  latency: { min: 0.001, max: 3_600_000, step: 0.001, label: 'Latency at most (ms)' },
  accuracy: { min: 0.001, max: 1, step: 0.001, label: 'Accuracy at least (share of pictures)' },
};

/** Further limits, strictness, and pinning an instance. */
function More({ model, wish, pinned, onWish, onPinned }: Omit<Props, 'ran'>) {
  const { kind, values, also, strict } = wish;
  const toggle = (k: Kind) => onWish({ ...wish, also: also.includes(k) ? also.filter((a) => a !== k) : [...also, k] });
  return (
    <div class="bounds">
      {KINDS.filter((k) => k !== kind).map((k) => {
        const { label, ...limits } = LIMITS[k];
        const on = also.includes(k);
        return (
          <div key={k} class="bound">
            <label>
              <input type="checkbox" checked={on} onChange={() => toggle(k)} /> {label}
            </label>
            <input
              type="number"
              aria-label={label}
              disabled={!on}
              value={values[k]}
              {...limits}
              onInput={(event) => {
                const value = event.currentTarget.valueAsNumber;
                if (value > 0) onWish({ ...wish, values: { ...values, [k]: value } });
              }}
            />
          </div>
        );
      })}
      <label class="bound">
        <span>
          <input type="checkbox" checked={!strict} onChange={() => onWish({ ...wish, strict: !strict })} /> Never
          refuse: come as near as possible
        </span>
      </label>
      <label class="bound">
        <span>Instance</span>
        <select value={pinned} onChange={(event) => onPinned(event.currentTarget.value)}>
          <option value="">as the budget says</option>
          {model.instances.map(({ id }) => (
            <option key={id} value={id}>
              {id}
            </option>
          ))}
        </select>
      </label>
      <p class="quiet small">
        Sent as <code>Inference-Budget: {headerOf(wish)}</code>
      </p>
    </div>
  );
}
