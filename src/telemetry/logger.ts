import { type Logger, pino } from 'pino';

/** Synchronous to standard output: a transport would lose lines when the process ends (pino#2054). No headers, no bodies. */
export function createLogger(level: string): Logger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
}
