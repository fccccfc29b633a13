/** What a command knows of the world around it; tests put another one in its place. */

export interface Terminal {
  /** Writes to stdout: results, and with --json one document and nothing else. */
  readonly out: (text: string) => void;
  /** Writes to stderr: errors, hints and progress. */
  readonly err: (text: string) => void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Whether stderr is a terminal, so that somebody may watch. */
  readonly watched: boolean;
  /** All of stdin. */
  readonly input: () => Promise<Buffer>;
}

/** That of this process. */
export function terminal(): Terminal {
  return {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    environment: process.env,
    watched: process.stderr.isTTY === true,
    input: async () => Buffer.concat(await process.stdin.toArray()),
  };
}
