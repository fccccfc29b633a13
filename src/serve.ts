/** The service as a process: settings, ports, signals, and the only exit once it runs. */
import './runtime/no-telemetry.js';
import { App } from './app.js';
import { REMOVED, readConfig } from './config.js';
import { endGracefully } from './ending.js';
import { messageOf, StartError } from './errors.js';
import { createLogger } from './telemetry/logger.js';

/**
 * Resolves when the service is ready; from then on a signal ends the process. Ends it with status 1 if the service cannot
 * start. Raises StartError for settings that cannot be used, before anything else was done.
 */
export async function serve(environment: Record<string, string | undefined>): Promise<void> {
  const config = readConfig(environment);
  const logger = createLogger(config.LOG_LEVEL);
  logger.info({ config }, 'dimmer starts');
  for (const [key, instead] of Object.entries(REMOVED)) {
    if (environment[key]) logger.warn({ [key]: environment[key] }, `this setting is no longer there: ${instead}`);
  }
  const app = await App.create(config, logger);

  endGracefully({
    // Orchestrators send SIGTERM, and balancers need time to notice. Other signals come from people, who need not wait.
    close: (signal) => app.close(signal === 'SIGTERM' ? config.DRAIN_DELAY_MS : 0),
    hurry: () => app.hurry(),
    drainMs: config.DRAIN_TIMEOUT_MS,
    logger,
  });

  try {
    const address = await app.listen();
    logger.info({ address, ...(app.grpcAddress !== undefined && { grpc: app.grpcAddress }) }, 'listening');
    await app.start();
    if (app.ready) logger.info({ page: address, docs: `${address}/docs`, classify: `${address}/classify` }, 'ready');
  } catch (error) {
    if (app.state.leaving) logger.info({ error: messageOf(error) }, 'not started');
    else {
      logger.fatal(error instanceof StartError ? { error: error.message } : { err: error }, 'cannot start');
      await app.close();
      process.exit(1);
    }
  }
}
