import type { RefObject } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { fetchModels, type Model, type Problem, Refusal } from './api.ts';

/**
 * Width of an element in CSS pixels; charts use it so that their text has the same size on every screen. first: initial
 * width.
 */
export function useWidth<T extends Element>(first: number): [RefObject<T | null>, number] {
  const ref = useRef<T>(null);
  const [width, setWidth] = useState(first);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.max(200, entry.contentRect.width)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

/** Turns anything thrown into a problem to show. */
export function problemOf(error: unknown): { problem: Problem; retryAfterS: number | undefined } {
  if (error instanceof Refusal) return error;
  const problem = {
    title: 'Something went wrong in this page',
    detail: error instanceof Error ? error.message : String(error),
    expected: 'an answer',
    action: 'load the page again',
  };
  return { problem, retryAfterS: undefined };
}

/** ms between two requests for the families while the service is starting. */
const RETRY_MS = 1000;

/** The families, requested again until the service is ready. again: a new value requests them again. */
export function useModels(again: number): { models: Model[] | undefined; problem: Problem | undefined } {
  const [models, setModels] = useState<Model[]>();
  const [problem, setProblem] = useState<Problem>();
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const load = async () => {
      try {
        setModels(await fetchModels(abort.signal));
        setProblem(undefined);
      } catch (error) {
        if (abort.signal.aborted) return;
        const { problem } = problemOf(error);
        setProblem(problem);
        if (problem.status !== 401) timer = setTimeout(load, RETRY_MS);
      }
    };
    void load();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [again]);
  return { models, problem };
}
