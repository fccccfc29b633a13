import { useEffect, useState } from 'preact/hooks';
import { events, type Hello, type Problem, type Sample } from './api.ts';
import { problemOf } from './hooks.ts';

/** Between two tries to watch. */
const AGAIN_MS = 2000;

export interface LiveState {
  readonly hello?: Hello | undefined;
  readonly samples: readonly Sample[];
  readonly problem?: Problem | undefined;
}

/** Watches as long as it is shown, and joins again when the connection is lost. room: samples that are kept. */
export function useLive(room: number, again: number): LiveState {
  const [state, setState] = useState<LiveState>({ samples: [] });
  // `again` says when to join once more.
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const add = (sample: Sample) => setState((s) => ({ hello: s.hello, samples: [...s.samples, sample].slice(-room) }));
    const watch = async () => {
      const problem = await follow(abort.signal, add, (hello) => setState({ hello, samples: [] }));
      if (abort.signal.aborted) return;
      setState(({ hello }) => ({ hello, samples: [], problem }));
      if (problem?.status !== 401) timer = setTimeout(watch, AGAIN_MS);
    };
    void watch();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [room, again]);
  return state;
}

/** Until the service ends it, or refuses: then with the problem. */
async function follow(
  signal: AbortSignal,
  onSample: (sample: Sample) => void,
  onHello: (hello: Hello) => void,
): Promise<Problem | undefined> {
  try {
    for await (const { name, data } of events('/live', signal)) {
      if (name === 'hello') onHello(data as Hello);
      if (name === 'sample') onSample(data as Sample);
    }
    return undefined;
  } catch (error) {
    return problemOf(error).problem;
  }
}
