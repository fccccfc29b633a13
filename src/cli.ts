#!/usr/bin/env -S node --single-threaded-gc --initial-old-space-size=128
/**
 * The command line, `dimmer`: what belongs to the process. Node's flags above are those of the service (see the Dockerfile),
 * which `dimmer serve` runs in this process; the other commands do as well with them.
 */
import { run } from './cli/program.js';
import { terminal } from './cli/terminal.js';

// Whoever reads may go away first, as `head` does: what is left to say, nobody hears.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

// Nothing is ended by force: native code may run yet, and output may wait to be written.
process.exitCode = await run(process.argv.slice(2), terminal());
