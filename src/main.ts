/** Entry point: reads the environment, starts the service, and ends the process on signals and errors. */
import './runtime/no-telemetry.js';
import { App } from './app.js';
import { type Config, REMOVED, readConfig } from './config.js';
import { endGracefully } from './ending.js';
import { messageOf, StartError } from './errors.js';
import { createLogger } from './telemetry/logger.js';

function configOrExit(): Config {
  try {
    return readConfig(process.env);
  } catch (error) {
    console.error(messageOf(error));
    process.exit(1);
  }
}

const config = configOrExit();
const logger = createLogger(config.LOG_LEVEL);
logger.info({ config }, 'dimmer starts');
for (const [key, instead] of Object.entries(REMOVED)) {
  if (process.env[key]) logger.warn({ [key]: process.env[key] }, `this setting is no longer there: ${instead}`);
}
const app = await App.create(config, logger);

endGracefully({ close: () => app.close(), hurry: () => app.hurry(), drainMs: config.DRAIN_TIMEOUT_MS, logger });

try {
  const address = await app.listen();
  logger.info({ address }, 'listening');
  await app.start();
  if (app.ready) logger.info({ page: address, docs: `${address}/docs`, classify: `${address}/classify` }, 'ready');
} catch (error) {
  if (app.state.draining) logger.info({ error: messageOf(error) }, 'not started');
  else await giveUp(error);
}

async function giveUp(error: unknown): Promise<void> {
  logger.fatal(error instanceof StartError ? { error: error.message } : { err: error }, 'cannot start');
  await app.close();
  process.exit(1);
}
