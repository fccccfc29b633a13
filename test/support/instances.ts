import type { Instance } from '../../src/family/instance.js';

const FULL_FLOPS = 1000;

/** An instance for tests. facts: members with other values than the defaults. */
export function instance(id: string, facts: Partial<Instance> = {}): Instance {
  const flops = facts.flops ?? FULL_FLOPS;
  const top1 = facts.top1 ?? 0.9;
  return {
    key: `test/${id}`,
    id,
    family: 'test',
    p: id === 'full' ? 0 : Number(id.slice(1, 3)),
    r: id === 'full' ? 1 : 0.5,
    flops,
    macs: flops / 2,
    share: flops / FULL_FLOPS,
    top1,
    accuracy: top1,
    interval: [top1, top1],
    top5: 1,
    correct: Math.round(top1 * 1000),
    n: 1000,
    temperature: 1,
    precision: 'float32',
    graph: `/nowhere/${id}.onnx`,
    ...facts,
  };
}

/** A family of four instances; cheaper ones are less accurate. */
export const FULL = instance('full');
export const HALF = instance('p03-r500', { flops: 500, top1: 0.88 });
export const THIRD = instance('p02-r500', { flops: 350, top1: 0.86 });
export const QUARTER = instance('p01-r500', { flops: 250, top1: 0.8 });
export const FAMILY = [FULL, HALF, THIRD, QUARTER];

/** Time of a run: 1 ms for each 100 FLOPs and picture; in batches 80 % of that. */
export function predict(i: Instance, size: number): number {
  return (i.flops / 100) * (size === 1 ? 1 : 0.8 * size);
}
