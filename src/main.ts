/** The process: environment, ports, signals, and the only exit. */
import './runtime/no-telemetry.js';
import closeWithGrace from 'close-with-grace';
import { App } from './app.js';
import { type Config, readConfig } from './config.js';
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
const app = await App.create(config, logger);

// Its own time limit would call process.exit under a native run, which aborts the process; ours is below.
closeWithGrace({ delay: false, logger }, async ({ signal, err }) => {
  if (err) logger.fatal({ err }, 'unexpected error, shutting down');
  else logger.info({ signal }, 'draining');
  setTimeout(() => {
    logger.fatal({ ms: config.DRAIN_TIMEOUT_MS }, 'not drained in time, killed');
    process.kill(process.pid, 'SIGKILL');
  }, config.DRAIN_TIMEOUT_MS).unref();
  await app.close();
  logger.info('closed');
});

try {
  const address = await app.listen();
  logger.info({ address }, 'listening');
  await app.start();
  if (app.ready) logger.info({ docs: `${address}/docs`, classify: `${address}/classify` }, 'ready');
} catch (error) {
  logger.fatal(error instanceof StartError ? { error: error.message } : { err: error }, 'cannot start');
  await app.close();
  process.exit(1);
}
