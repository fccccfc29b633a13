/** Entry point of the page: header, views, and the form for an API key. */
import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { onKeyNeeded, type Problem, setApiKey } from './api.ts';
import { Families } from './families.tsx';
import { useModels } from './hooks.ts';
import { Load } from './load.tsx';
import { OnePicture } from './one-picture.tsx';
import { ProblemCard } from './problem.tsx';
import './style.css';

const VIEWS = { '': 'One picture', load: 'Load', families: 'Families' } as const;
type View = keyof typeof VIEWS;

const viewOf = (hash: string): View => {
  const name = hash.replace('#', '');
  return name in VIEWS ? (name as View) : '';
};

function useView(): View {
  const [view, setView] = useState(() => viewOf(location.hash));
  useEffect(() => {
    const turn = () => setView(viewOf(location.hash));
    addEventListener('hashchange', turn);
    return () => removeEventListener('hashchange', turn);
  }, []);
  return view;
}

function App() {
  const view = useView();
  const [again, setAgain] = useState(0);
  const [keyNeeded, setKeyNeeded] = useState(false);
  const [keyWanted, setKeyWanted] = useState(false);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    document.title = view === '' ? 'dimmer' : `${VIEWS[view]} – dimmer`;
    // Moves the focus to the new view for screen readers; not when the page was just opened.
    if (!first.current) main.current?.focus();
    first.current = false;
  }, [view]);
  useEffect(
    () =>
      onKeyNeeded(() => {
        setKeyNeeded(true);
        setKeyWanted(true);
      }),
    [],
  );
  const { models, problem } = useModels(again);
  return (
    <>
      <header>
        <a class="brand" href="/" aria-label="dimmer, start">
          <Mark /> dimmer
        </a>
        <nav aria-label="Views">
          {(Object.keys(VIEWS) as View[]).map((name) => (
            <a key={name} href={`#${name}`} aria-current={name === view ? 'page' : undefined}>
              {VIEWS[name]}
            </a>
          ))}
          {/* A link cannot bring a key. */}
          {!keyWanted && <a href="/docs">API</a>}
        </nav>
      </header>
      {keyNeeded && (
        <KeyForm
          onKey={(key) => {
            setApiKey(key);
            setKeyNeeded(false);
            setAgain(again + 1);
          }}
        />
      )}
      <main ref={main} tabIndex={-1}>
        {!models && <Waiting problem={problem} />}
        {models?.length === 0 && <p>This service has no family: see MODELS_DIR.</p>}
        {models && models.length > 0 && (
          <>
            {view === '' && <OnePicture models={models} again={again} />}
            {view === 'load' && <Load models={models} again={again} />}
            {view === 'families' && <Families models={models} />}
          </>
        )}
      </main>
      <footer class="quiet small">
        Pictures are sent to this service alone and not kept. Samples: a cat by Stéfan van der Walt (CC0), coffee by
        Rachel Michetti (CC0), a rocket by SpaceX (public domain; the classes of ImageNet have no rocket, missile is the
        nearest).
      </footer>
    </>
  );
}

function Waiting({ problem }: { problem: Problem | undefined }) {
  return (
    <div class="waiting">
      <h1>One picture, many costs.</h1>
      {problem ? <ProblemCard problem={problem} /> : <p role="status">Loading the families…</p>}
      {problem?.status === 503 && <p class="quiet">This page continues by itself once the service is ready.</p>}
    </div>
  );
}

/** Form for an API key, shown after an answer 401. */
function KeyForm({ onKey }: { onKey(key: string): void }) {
  const [key, setKey] = useState('');
  return (
    <form
      class="key-form card"
      onSubmit={(event) => {
        event.preventDefault();
        onKey(key);
      }}
    >
      <label>
        <span>This service wants an API key</span>
        <input type="password" autocomplete="off" value={key} onInput={(event) => setKey(event.currentTarget.value)} />
      </label>
      <button type="submit" disabled={key === ''}>
        Use it
      </button>
      <p class="quiet small">It is sent as X-Api-Key, and forgotten when this page is closed.</p>
    </form>
  );
}

function Mark() {
  return (
    <svg width="26" height="26" viewBox="0 0 32 32" aria-hidden="true">
      <path class="arc" d="M9.2 22.8a9.6 9.6 0 1 1 13.6 0" />
      <circle class="knob" cx="16" cy="16" r="5.2" />
      <path class="pointer" d="M16 16l5-5" />
    </svg>
  );
}

const root = document.getElementById('app');
if (root) render(<App />, root);
