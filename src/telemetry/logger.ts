import { type Logger, pino } from 'pino';
import { SECRET } from '../config.js';

/** Synchronous to standard output: a transport would lose lines when the process ends (pino#2054). No headers, no bodies. */
export function createLogger(level: string): Logger {
  return pino({
    level,
    base: null,
    redact: [...SECRET].map((key) => `config.${key}`),
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
}
