import { type Logger, pino } from 'pino';
import { SECRET } from '../config.js';

/**
 * Lines are written when there are 4 KiB of them or a fifth of a second has passed: with a line a request, a system call
 * for each was the largest single item of the main thread. Synchronous, since a transport would lose lines when the
 * process ends (pino#2054); what is fatal, and the end of the process, write what is left.
 */
const standardOutput = pino.destination({ dest: 1, sync: true, minLength: 4096, periodicFlush: 200 });
process.once('exit', () => standardOutput.flushSync());

/**
 * Libraries log what they are given: at level trace the headers of a request, with keys and cookies. Nothing of ours has
 * these names. Looked for at the levels of libraries only, since it takes 20 us a line.
 */
const OF_CLIENTS = ['headers', 'rawHeaders', 'rawPacket', 'trailers', 'body'].flatMap((key) => [
  key,
  `*.${key}`,
  `*.*.${key}`,
]);

/** No headers, no bodies. */
export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      redact: [
        ...[...SECRET].map((key) => `config.${key}`),
        ...(level === 'trace' || level === 'debug' ? OF_CLIENTS : []),
      ],
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    standardOutput,
  );
}
