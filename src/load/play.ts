/** Plays a timetable: every request at its time, and what came of each. */
import type { Answer, TimedAnswer } from './answer.js';
import { openLoop } from './open-loop.js';

/**
 * Sends a request at each of these times, in ms from now, and resolves when all are answered, with the outcomes in the
 * order of the times. post: sends one request and never rejects. answered: called after each answer.
 */
export async function play(
  arrivalsMs: readonly number[],
  post: (index: number) => Promise<Answer>,
  answered: () => void = () => {},
): Promise<TimedAnswer[]> {
  const records: TimedAnswer[] = [];
  const pending: Promise<void>[] = [];
  await openLoop(arrivalsMs, (index, lagMs) => {
    const scheduledMs = arrivalsMs[index] as number;
    pending.push(
      post(index).then((answer) => {
        records[index] = { ...rounded(answer), scheduledMs, lagMs: round(lagMs) };
        answered();
      }),
    );
  });
  await Promise.all(pending);
  return records;
}

function rounded(answer: Answer): Answer {
  const { headMs, latencyMs } = answer;
  return { ...answer, latencyMs: round(latencyMs), ...(headMs !== undefined && { headMs: round(headMs) }) };
}

function round(ms: number): number {
  return Number(ms.toFixed(3));
}
