/** The log: JSON lines on standard output, without headers, bodies and secrets. */
import { type Logger, pino } from 'pino';
import { SECRET } from '../config.js';

/**
 * Buffers lines until there are 4 KiB or 200 ms have passed: a system call for each line, one per request, was the most
 * expensive single item of the main thread. Writes are synchronous, because an asynchronous transport would lose lines
 * at the end of the process (pino#2054). Fatal lines and the end of the process flush the buffer.
 */
const standardOutput = pino.destination({ dest: 1, sync: true, minLength: 4096, periodicFlush: 200 });
process.once('exit', () => standardOutput.flushSync());

/**
 * Keys that are removed from log lines at the levels debug and trace, at which libraries log requests with keys and
 * cookies. The service's own lines have no such keys. Not removed at other levels, because the search takes 20 us a
 * line.
 */
const OF_CLIENTS = ['headers', 'rawHeaders', 'rawPacket', 'trailers', 'body'].flatMap((key) => [
  key,
  `*.${key}`,
  `*.*.${key}`,
]);

/** Makes the logger. level: LOG_LEVEL. */
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
