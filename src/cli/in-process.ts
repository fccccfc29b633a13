/**
 * The service inside this process, on a free port of the loopback. A picture goes through the same code as over the
 * network, checks and refusals included, and there is one way to ask and not two.
 */
import { constants } from 'node:os';
import '../runtime/no-telemetry.js';
import { App } from '../app.js';
import { readConfig } from '../config.js';
import { messageOf, StartError } from '../errors.js';
import type { Family } from '../family/instance.js';
import { loadFamilies } from '../family/load.js';
import { defaultOf } from '../family/served.js';
import type { StartStage } from '../start-progress.js';
import { createLogger } from '../telemetry/logger.js';
import { Failure, fromStart, UsageError } from './failure.js';

/** What a service for one client on this machine does without; everything else is as the environment says. */
const SETTINGS = {
  HOST: '127.0.0.1',
  PORT: '0',
  ADMIN_PORT: '',
  LOG_LEVEL: 'silent',
  PLAYGROUND: 'off',
  QUOTA_PER_MINUTE: '',
  QUOTA_FLOPS_PER_MINUTE: '',
  API_KEYS: '',
  API_KEYS_FILE: '',
  REQUIRE_API_KEY: '',
  REHEARSAL_REQUESTS: '0',
  OTEL_SDK_DISABLED: 'true',
} as const;

/** How often it is looked how far the start is. */
const POLL_MS = 100;

export interface InProcess {
  readonly url: string;
  readonly close: () => Promise<void>;
}

export interface Wanted {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Folder of families; else the setting MODELS_DIR. */
  readonly models: string | undefined;
  /** The family that will be asked for; undefined for the default one. */
  readonly model: string | undefined;
  readonly onStage: (stage: StartStage) => void;
}

/**
 * Ready. Only the family that is asked for is loaded. Raises UsageError for settings that cannot be used, Failure if there
 * is no such family or it cannot be served.
 */
export async function startInProcess({ environment, models, model, onStage }: Wanted): Promise<InProcess> {
  const config = settings({ ...environment, ...SETTINGS, ...(models !== undefined && { MODELS_DIR: models }) });
  const only = async (folder: string) => wanted(await loadFamilies(folder), folder, model, config.DEFAULT_MODEL);
  const logger = createLogger(config.LOG_LEVEL);
  const app = await App.create({ ...config, DEFAULT_MODEL: undefined }, logger, { loadFamilies: only });
  const forget = closeAtSignals(app);
  const watch = setInterval(() => onStage(app.state.progress.now.stage), POLL_MS);
  const close = async () => {
    await app.close();
    forget();
  };
  try {
    const url = await app.listen();
    await app.start();
    return { url, close };
  } catch (error) {
    await close();
    throw fromStart('The service cannot start in this process', error);
  } finally {
    clearInterval(watch);
  }
}

function settings(environment: Record<string, string | undefined>) {
  try {
    return readConfig(environment);
  } catch (error) {
    throw error instanceof StartError ? new UsageError(messageOf(error)) : error;
  }
}

/** That one alone. Raises Failure, before anything is started for it, if it is not there or cannot be told. */
function wanted(
  families: readonly Family[],
  folder: string,
  model: string | undefined,
  standard: string | undefined,
): Family[] {
  const names = families.map((f) => f.name);
  const name = model ?? defaultOf(names, standard);
  const found = families.filter((f) => f.name === name);
  if (found.length > 0) return found;
  const several = names.length > 0 && name === undefined;
  throw new Failure({
    title: several ? 'No model is named' : 'No such model',
    detail: several
      ? `${folder} has several, and none of them is the default`
      : `there is no ${name === undefined ? 'family' : `model ${name}`} in ${folder}`,
    expected: names.length > 0 ? `one of ${names.join(', ')}` : 'one folder for each family, with its manifest.json',
    action: 'choose another model (--model) or folder (--models), or ask a running service (--url)',
  });
}

/** Threads with native code in them end on their own, or the process would be aborted. Returns what takes this back. */
function closeAtSignals(app: App): () => void {
  const end = (signal: NodeJS.Signals) => {
    app.hurry();
    // As shells have it for a process that a signal ended.
    void app.close().finally(() => process.exit(128 + constants.signals[signal]));
  };
  process.once('SIGINT', end).once('SIGTERM', end);
  return () => process.off('SIGINT', end).off('SIGTERM', end);
}
