/** The server and its models, as the Open Inference Protocol describes them. */
import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import type { Classifier } from '../classify.js';
import { DimmerError } from '../errors.js';
import type { Catalog, ServedFamily } from '../family/served.js';
import type { Duration } from '../telemetry/statistics.js';
import { OUTPUTS } from './outputs.js';
import type { repositoryIndex, v2Model, v2Server, v2Statistics } from './schemas.js';
import { INPUTS } from './tensors.js';

/** The version of this service; package.json lies above src and above dist. */
const { version: VERSION } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** Triton's names of extensions. */
export const SERVER: z.infer<typeof v2Server> = {
  name: 'dimmer',
  version: VERSION,
  extensions: ['binary_tensor_data', 'classification', 'parameters', 'statistics'],
};

export interface Named {
  readonly name: string;
  /** Each model has one version, modelVersion of /models; undefined stands for it. */
  readonly version?: string | undefined;
}

/** The parts of a ready service that are asked here. */
interface Parts {
  readonly catalog: Catalog;
  readonly classifier: Pick<Classifier, 'statistics'>;
}

/** Raises DimmerError unknown-model, also for another version. */
export function servedOf({ catalog }: Pick<Parts, 'catalog'>, { name, version }: Named): ServedFamily {
  const served = catalog.family(name);
  const { version: right } = served.family;
  if (version === undefined || version === right) return served;
  throw new DimmerError('unknown-model', {
    detail: `there is no version ${version} of model ${name}`,
    expected: `version ${right}, or none`,
    action: 'leave the version out, or take one that the metadata of the model lists',
    members: { models: catalog.names },
  });
}

export function metadataOf({ family: { name, version, labels } }: ServedFamily): z.infer<typeof v2Model> {
  return {
    name,
    versions: [version],
    platform: 'onnx_onnxv1',
    inputs: INPUTS.map(({ name, datatype, shape }) => ({ name, datatype, shape: [...shape] })),
    outputs: OUTPUTS.map(({ name }) => ({ name, datatype: 'FP32', shape: [-1, labels.length] })),
  };
}

/** All models: while the service is ready, all of them are. */
export function indexOf({ catalog }: Pick<Parts, 'catalog'>): z.infer<typeof repositoryIndex> {
  return catalog.families.map(({ family: { name, version } }) => ({ name, version, state: 'READY', reason: '' }));
}

type ModelStatistics = z.infer<typeof v2Statistics>['model_stats'][number];

const NONE = { count: 0, ns: 0 };
const sum = ({ count, ms }: Pick<Duration, 'count' | 'ms'>) => ({ count, ns: Math.round(ms * 1e6) });

/** Statistics of one model, or of all. Raises DimmerError unknown-model. */
export function statisticsOf(parts: Parts, named: Named | undefined): z.infer<typeof v2Statistics> {
  const families = named === undefined ? parts.catalog.families : [servedOf(parts, named)];
  return { model_stats: families.map((served) => ofModel(served, parts.classifier)) };
}

function ofModel({ family, shared }: ServedFamily, { statistics }: Parts['classifier']): ModelStatistics {
  const { lastMs, pictures, success, fail, queue, decode, infer, runs } = statistics.of(family.name);
  const bySize = [...runs].map(([size, duration]) => ({ batch_size: size, ran: sum(duration) }));
  return {
    name: family.name,
    version: family.version,
    last_inference: lastMs,
    inference_count: pictures,
    execution_count: bySize.reduce((total, { ran }) => total + ran.count, 0),
    inference_stats: {
      success: sum(success),
      fail: sum(fail),
      queue: sum(queue),
      compute_input: sum(decode),
      compute_infer: sum(infer),
      compute_output: NONE,
      cache_hit: NONE,
      cache_miss: NONE,
    },
    response_stats: {},
    batch_stats: bySize.map(({ batch_size, ran }) => ({
      batch_size,
      compute_input: NONE,
      compute_infer: ran,
      compute_output: NONE,
    })),
    memory_usage: shared ? [{ type: 'CPU', id: 0, byte_size: shared.bytes }] : [],
  };
}
