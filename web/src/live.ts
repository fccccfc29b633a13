/** Subscribes to /live. */
import { useEffect, useState } from 'preact/hooks';
import { events, type Hello, type Problem, type Sample } from './api.ts';
import { problemOf } from './hooks.ts';

/** ms between two attempts to connect. */
const AGAIN_MS = 2000;

export interface LiveState {
  readonly hello?: Hello | undefined;
  readonly samples: readonly Sample[];
  readonly problem?: Problem | undefined;
}

/**
 * Receives samples while the component is mounted, and connects again when the connection is lost. room: how many
 * samples to keep. again: a new value connects again at once.
 */
export function useLive(room: number, again: number): LiveState {
  const [state, setState] = useState<LiveState>({ samples: [] });
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

/** Reads events until the service ends the stream. Resolves to the problem if it refused or the connection was lost. */
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
