/** The view "Load": live figures of the service, one sample a second from /live. */
import type { Model, Sample } from './api.ts';
import { BurstView } from './burst-view.tsx';
import { Mix, Spark } from './charts.tsx';
import { glow } from './colours.ts';
import { ms, percent } from './format.ts';
import { useLive } from './live.ts';
import { ProblemCard } from './problem.tsx';

/** How many samples, one for each second, are shown. */
const ROOM = 90;

export function Load({ models, again }: { models: readonly Model[]; again: number }) {
  const { hello, samples, problem } = useLive(ROOM, again);
  const last = samples.at(-1);
  const shares = new Map(models.flatMap((m) => m.instances.map((i) => [`${m.name}/${i.id}`, i.share] as const)));
  return (
    <>
      <div class="lead">
        <h1>A promise is kept by spending less.</h1>
        <p>
          A promise is the latency that a request asks for and the service accepts. In a burst pictures get cheaper
          instances, so that answers stay in time; afterwards accuracy comes back.
        </p>
      </div>
      {problem && <ProblemCard problem={problem} />}
      <section class="card" aria-labelledby="live-title">
        <div class="row between">
          <h2 id="live-title">Now</h2>
          <p class="quiet small" role="status">
            {last ? 'Live, a sample a second' : problem ? 'Not connected' : 'Connecting…'}
          </p>
        </div>
        <Tiles samples={samples} />
        <Instances samples={samples} shares={shares} />
      </section>
      {hello?.loadButton && models.length > 0 && <BurstView models={models} hello={hello} />}
      {hello && !hello.loadButton && (
        <p class="quiet small">
          A burst can be replayed from a browser on the machine of the service, or from any with LOAD_BUTTON=on.
        </p>
      )}
    </>
  );
}

/** The latest figures, each with a chart of the last samples. */
function Tiles({ samples }: { samples: readonly Sample[] }) {
  const last = samples.at(-1);
  const of = (value: (sample: Sample) => number | null) => samples.map(value);
  return (
    <dl class="tiles">
      <Tile name="Pictures a second" value={last ? String(last.pictures) : '–'}>
        <Spark values={of((s) => s.pictures)} room={ROOM} />
      </Tile>
      <Tile
        name="Latency"
        value={last?.latencyMs ? ms(last.latencyMs.p95) : '–'}
        note={`95 of 100 within; ${last?.promisedMs == null ? 'no promise now' : `promised ${ms(last.promisedMs)}`}`}
      >
        <Spark values={of((s) => s.latencyMs?.p95 ?? null)} promise={of((s) => s.promisedMs)} room={ROOM} />
      </Tile>
      <Tile name="Promises kept" value={last?.promises.of ? percent(last.promises.kept / last.promises.of, 1) : '–'}>
        <Spark values={of(({ promises: { kept, of } }) => (of ? kept / of : null))} high={1.02} room={ROOM} />
      </Tile>
      <Tile name="Delivered accuracy" value={last?.accuracy == null ? '–' : percent(last.accuracy, 1)}>
        <Spark values={of((s) => s.accuracy)} low={least(of((s) => s.accuracy))} high={1} room={ROOM} />
      </Tile>
      <Tile name="Delivered cost" value={last?.cost == null ? '–' : percent(last.cost)} note="of the full network">
        <Spark values={of((s) => s.cost)} high={1.02} room={ROOM} />
      </Tile>
      <Tile
        name="Waiting"
        value={last ? String(last.queued) : '–'}
        note={last?.refused ? `${last.refused} refused` : ''}
      >
        <Spark values={of((s) => s.queued)} room={ROOM} />
      </Tile>
    </dl>
  );
}

/** How many pictures each instance answered, over time. shares: `family/instance` -> cost in 0..1. */
function Instances({ samples, shares }: { samples: readonly Sample[]; shares: ReadonlyMap<string, number> }) {
  const last = samples.at(-1);
  return (
    <>
      <h3>Which instances run</h3>
      <Mix samples={samples} room={ROOM} shares={shares} />
      <p class="legend small">
        <span>cheapest</span>
        <span class="ramp" aria-hidden="true">
          {Array.from({ length: 12 }, (_, n) => (
            <span key={n} style={{ background: glow(n / 11) }} />
          ))}
        </span>
        <span>the full network</span>
      </p>
      <p class="small">{last && last.instances.length > 0 ? mixInWords(last) : 'Nothing runs now.'}</p>
    </>
  );
}

/** Start of the axis for accuracies: a little below the smallest one, so that changes are visible. */
function least(values: readonly (number | null)[]): number {
  const there = values.filter((v) => v !== null);
  return Math.max(0, Math.min(1, ...there) - 0.05);
}

function mixInWords({ instances }: Sample): string {
  const sorted = [...instances].sort((a, b) => b.pictures - a.pictures);
  const shown = sorted.slice(0, 4).map(({ instance, pictures }) => `${instance} ${pictures}`);
  return `${shown.join(', ')}${sorted.length > 4 ? `, ${sorted.length - 4} more` : ''}`;
}

interface TileProps {
  readonly name: string;
  readonly value: string;
  readonly note?: string;
  readonly children: preact.ComponentChildren;
}

function Tile({ name, value, note, children }: TileProps) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd class="figure">{value}</dd>
      <dd class="quiet small note">{note || ' '}</dd>
      <dd>{children}</dd>
    </div>
  );
}
