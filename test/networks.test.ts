/** Loading families into engine threads. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readConfig } from '../src/config.js';
import { StartError } from '../src/errors.js';
import { loadFamily } from '../src/family/load.js';
import { startNetworks } from '../src/networks.js';
import { StartProgress } from '../src/start-progress.js';
import { createLogger } from '../src/telemetry/logger.js';
import { FAMILIES, temporaryFolder } from './support/app.js';

t.test('after a request to end, nothing is optimised and nothing is loaded', async (t) => {
  const CACHE_DIR = temporaryFolder(t);
  const progress = new StartProgress();
  const started = startNetworks({
    config: readConfig({ CACHE_DIR, ENGINE_THREADS: '1' }),
    families: [await loadFamily(join(FAMILIES, 'tiny'))],
    logger: createLogger('silent'),
    progress,
    onThread: () => {},
    signal: AbortSignal.abort(new StartError('asked to end')),
  });
  await t.rejects(started, new StartError('asked to end'));
  t.same(readdirSync(CACHE_DIR), []);
  t.equal(progress.now.stage, 'optimising');
});
