/** Command-line options of the benches that send the labelled pictures of one family to the service. */
import { z } from 'zod';
import { gather, type Material, readModel } from './load/setup.js';
import { fail } from './support.js';

export const FAMILY_OPTIONS = {
  data: { type: 'string' },
  family: { type: 'string', default: 'cifar10' },
  models: { type: 'string', default: 'models' },
  reference: { type: 'string' },
  seed: { type: 'string', default: '1' },
  out: { type: 'string' },
} as const;

interface Given {
  readonly data?: string | undefined;
  readonly family: string;
  readonly models: string;
  readonly reference?: string | undefined;
  readonly seed: string;
}

export const positive = z.coerce.number().positive();

export interface FamilyOptions {
  readonly seed: number;
  /** Environment variables for a service that keeps its cache in this folder. */
  environment(cache: string): Record<string, string>;
  /**
   * The model as the service at `url` describes it, and the pictures to send. Ends the process if they do not match.
   */
  material(url: string): Promise<Material>;
}

/** Ends the process if --data is missing. Raises ZodError if the seed is not a whole number. */
export function familyOptions({ data, family, models, reference, seed: text }: Given): FamilyOptions {
  const folder = data ?? fail('give --data, an image folder: <data>/test/<class>/<pictures>');
  const seed = z.coerce.number().int().parse(text);
  return {
    seed,
    environment: (cache) => ({ CACHE_DIR: cache, MODELS_DIR: models, DEFAULT_MODEL: family }),
    material: async (url) =>
      gather(await readModel(url, family), folder, reference ?? `bench/reference/${family}.json`, seed),
  };
}
