/** Time as the scheduler sees it; replaced in tests. */
export interface Clock {
  /** Milliseconds, monotonic, from an arbitrary start. */
  now(): number;
  /** Calls back once after this time, never synchronously; returns a function that cancels the call. */
  after(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
