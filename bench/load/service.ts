/**
 * The service as src/main.ts starts it, with two changes: service.ts [CONTENDER [INSTANCE]]. A contender
 * (bench/policies), if given, chooses the runs in place of the service's plan. At SIGUSR2 one engine thread dies.
 */
import '../../src/runtime/no-telemetry.js';
import { App, type Dependencies } from '../../src/app.js';
import { readConfig } from '../../src/config.js';
import type { Instance } from '../../src/family/instance.js';
import { ThreadPool } from '../../src/runtime/pool.js';
import { systemClock } from '../../src/scheduler/clock.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { Seat } from '../policies/seat.js';
import { killOne } from './death.js';
import { contenderOf } from './player.js';

const [name, instance] = process.argv.slice(2);
const config = readConfig(process.env);
const logger = createLogger(config.LOG_LEVEL);
const seat = name === undefined ? undefined : new Seat(contenderOf(name, instance), served, () => systemClock.now());

/** As in src/app.ts, with killable engine threads, and with the contender told of each run. */
const startRuntime: NonNullable<Dependencies['startRuntime']> = async (settings, graphs, onThread) => {
  const pool = await ThreadPool.start({
    threads: settings.ENGINE_THREADS,
    onnxThreads: settings.ONNX_THREADS,
    provider: settings.EXECUTION_PROVIDER,
    graphs,
    onThread,
    worker: new URL('./mortal.js', import.meta.url),
  });
  if (seat) {
    const run = pool.run.bind(pool);
    pool.run = (batch) => seat.run(() => run(batch));
  }
  return pool;
};

const app = await App.create(config, logger, { startRuntime, ...(seat && { next: seat.next }) });
process.on('SIGUSR2', killOne);
process.once('SIGTERM', () => app.close());

const address = await app.listen();
logger.info({ address }, 'listening');
await app.start();
logger.info('ready');

/** The instances of the default family, most accurate first. */
function served(): Instance[] {
  const { instances } = app.state.service.catalog.family(undefined);
  return instances.toSorted((a, b) => b.accuracy - a.accuracy || a.flops - b.flops);
}
