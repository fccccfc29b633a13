/** Sends the same burst twice and compares: first the service chooses the instances, then one instance is pinned. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Hello, Model, Problem } from './api.ts';
import { fullOf } from './budget.ts';
import {
  BIN_S,
  BURST_S,
  burst,
  capacityOf,
  MOST_PICTURES,
  type Outcome,
  slowOf,
  smallSamples,
  sumsOf,
  usualPromiseMs,
} from './burst.ts';
import { Lines } from './charts.tsx';
import { percent } from './format.ts';
import { problemOf } from './hooks.ts';
import { fetchSample, SAMPLES } from './picture.tsx';
import { ProblemCard } from './problem.tsx';

/** Already more than it can: decoding and this browser want the same CPUs. More than twice it is too much for any instance. */
const START_LOAD = 1;

interface Run {
  readonly name: string;
  readonly outcome: Outcome;
}

export function BurstView({ models, hello }: { models: readonly Model[]; hello: Hello }) {
  const [name, setName] = useState(() => (models.find((m) => m.default) ?? models[0])?.name ?? '');
  const model = models.find((m) => m.name === name) as Model;
  const [load, setLoad] = useState(START_LOAD);
  const [promiseMs, setPromiseMs] = useState(() => usualPromiseMs(model, hello.engineThreads));
  const [pinned, setPinned] = useState(() => fullOf(model).id);
  const [runs, setRuns] = useState<readonly Run[]>([]);
  const [problem, setProblem] = useState<Problem>();
  const [abort, setAbort] = useState<AbortController>();
  const latest = useRef<AbortController>(undefined);
  useEffect(() => () => latest.current?.abort(), []);
  const choose = (next: string) => {
    const found = models.find((m) => m.name === next);
    if (!found) return;
    setName(next);
    setPromiseMs(usualPromiseMs(found, hello.engineThreads));
    setPinned(fullOf(found).id);
  };

  const start = async () => {
    const own = new AbortController();
    latest.current = own;
    setAbort(own);
    setProblem(undefined);
    setRuns([]);
    try {
      const blobs = await Promise.all(SAMPLES.map(async (s) => (await fetchSample(s.name, own.signal)).blob));
      const pictures = await smallSamples(blobs, model);
      const plan = { model, engineThreads: hello.engineThreads, load, promiseMs };
      const done: Run[] = [];
      for (const [title, instance] of [
        ['adaptive', undefined],
        [`${pinned} alone`, pinned],
      ] as const) {
        const show = (outcome: Outcome) => setRuns([...done, { name: title, outcome }]);
        const outcome = await burst(plan, instance, pictures, own.signal, show);
        if (own.signal.aborted) break;
        done.push({ name: title, outcome });
        setRuns([...done]);
        if (outcome.refusal) throw outcome.refusal;
      }
    } catch (error) {
      if (!own.signal.aborted) setProblem(problemOf(error).problem);
    }
    setAbort(undefined);
  };
  const running = abort !== undefined;
  const rate = Math.round(Math.min(load * capacityOf(model, hello.engineThreads), MOST_PICTURES / BURST_S));
  return (
    <section class="card" aria-labelledby="burst-title">
      <h2 id="burst-title">A burst, twice</h2>
      <p class="quiet small">
        {BURST_S} seconds of our samples against this server, at most {MOST_PICTURES.toLocaleString('en')} pictures:
        calm, some {rate} pictures a second, calm again. First the service chooses within the promise, then one instance
        is pinned.
      </p>
      <div class="settings">
        {models.length > 1 && (
          <label>
            <span>Family</span>
            <select disabled={running} value={name} onChange={(event) => choose(event.currentTarget.value)}>
              {models.map((m) => (
                <option key={m.name}>{m.name}</option>
              ))}
            </select>
          </label>
        )}
        <label>
          <span>Load: {load.toFixed(1)} times what full alone can run</span>
          <input
            type="range"
            min={0.5}
            max={4}
            step={0.1}
            disabled={running}
            value={load}
            onInput={(event) => setLoad(Number(event.currentTarget.value))}
          />
        </label>
        <label>
          <span>Promise (ms)</span>
          <input
            type="number"
            min={1}
            max={60000}
            disabled={running}
            value={promiseMs}
            onInput={(event) =>
              event.currentTarget.valueAsNumber >= 1 && setPromiseMs(event.currentTarget.valueAsNumber)
            }
          />
        </label>
        <label>
          <span>Pinned</span>
          <select disabled={running} value={pinned} onChange={(event) => setPinned(event.currentTarget.value)}>
            {model.instances.map(({ id }) => (
              <option key={id}>{id}</option>
            ))}
          </select>
        </label>
        {running ? (
          <button type="button" onClick={() => abort.abort()}>
            Stop
          </button>
        ) : (
          <button type="button" class="primary" onClick={start}>
            Replay a burst
          </button>
        )}
      </div>
      <p class="hidden" role="status">
        {running ? `Sending: ${runs.at(-1)?.name ?? 'preparing'}` : runs.length === 2 ? inWords(runs) : ''}
      </p>
      {problem && <ProblemCard problem={problem} />}
      {runs.length > 0 && <Compared runs={runs} promiseMs={promiseMs} />}
    </section>
  );
}

function Compared({ runs, promiseMs }: { runs: readonly Run[]; promiseMs: number }) {
  const lines = runs.map(({ name, outcome }) => ({ name, values: slowOf(outcome) }));
  return (
    <>
      <p class="small chart-title">Time to the answer (95 of 100 are faster), in ms; dashed: the promise</p>
      <Lines
        lines={lines}
        stepS={BIN_S}
        room={BURST_S / BIN_S}
        high={3 * promiseMs}
        level={promiseMs}
        label={`Time to the answer in the burst. ${inWords(runs)}`}
      />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
      <section class="scroll" tabIndex={0} aria-label="What came of each burst">
        <table>
          <thead>
            <tr>
              <th scope="col">Burst</th>
              <th scope="col">In time</th>
              <th scope="col">Accuracy of what ran</th>
              <th scope="col">Cost of what ran</th>
              <th scope="col">In time and right</th>
            </tr>
          </thead>
          <tbody>
            {runs.map(({ name, outcome }, n) => {
              const { inTime, accuracy, cost, useful } = sumsOf(outcome);
              return (
                <tr key={name}>
                  <th scope="row">
                    <span class={`swatch series-${n}`} aria-hidden="true" /> {name}
                  </th>
                  <td>{percent(inTime, 1)}</td>
                  <td>{accuracy === null ? '–' : percent(accuracy, 1)}</td>
                  <td>{cost === null ? '–' : percent(cost)}</td>
                  <td>{percent(useful, 1)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </section>
    </>
  );
}

const inWords = (runs: readonly Run[]): string =>
  runs.map(({ name, outcome }) => `${name}: ${percent(sumsOf(outcome).inTime)} in time.`).join(' ');
