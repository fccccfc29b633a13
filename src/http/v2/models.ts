/** What the protocol says of models: which there are, what they take and give, and what they have done. */
import type { z } from 'zod';
import { DimmerError } from '../../errors.js';
import type { ServedFamily } from '../../family/served.js';
import type { Duration } from '../../telemetry/statistics.js';
import type { Service } from '../state.js';
import { OUTPUTS } from './outputs.js';
import type { v2Model, v2Statistics } from './schemas.js';
import { INPUTS } from './tensors.js';

export interface Named {
  readonly name: string;
  /** There is one version of each model: modelVersion of /models. */
  readonly version?: string;
}

/** Raises DimmerError unknown-model, also for another version. */
export function servedOf({ catalog }: Pick<Service, 'catalog'>, { name, version }: Named): ServedFamily {
  const served = catalog.family(name);
  const { version: right } = served.family;
  if (version === undefined || version === right) return served;
  throw new DimmerError('unknown-model', {
    detail: `there is no version ${version} of model ${name}`,
    expected: `version ${right}, or none`,
    action: `leave the version out, or take what GET /v2/models/${name} lists`,
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

type ModelStatistics = z.infer<typeof v2Statistics>['model_stats'][number];

const NONE = { count: 0, ns: 0 };
/** A run is counted in parts as its pictures are answered; what is not whole yet does not show. */
const sum = ({ count, ms }: Duration) => ({ count: Math.floor(count), ns: Math.round(ms * 1e6) });

export function statisticsOf({ family, shared }: ServedFamily, { classifier }: Service): ModelStatistics {
  const { lastMs, pictures, success, fail, queue, decode, infer, runs } = classifier.statistics.of(family.name);
  const bySize = [...runs].sort(([a], [b]) => a - b).map(([size, runs]) => ({ batch_size: size, ran: sum(runs) }));
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
