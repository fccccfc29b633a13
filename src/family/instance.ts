/** A family and its instances as the service knows them. Plain data; may be imported by every layer. */

export interface Instance {
  /** `cifar10/p02-r500`: unique over families. */
  readonly key: string;
  /** `full`, `p02-r500`, ... */
  readonly id: string;
  /** Name of the family it belongs to. */
  readonly family: string;
  readonly p: number;
  readonly r: number;
  /** For one picture; a multiply and an add count as two. */
  readonly flops: number;
  readonly macs: number;
  /** FLOPs as a share of `full`, in (0, 1]. */
  readonly share: number;
  /** Measured fractions in 0..1, of n pictures. */
  readonly top1: number;
  /** 95 % interval of top1. */
  readonly interval: readonly [number, number];
  /** What instances are compared by and a budget's `accuracy` means: top1, smoothed where the manifest says so. */
  readonly accuracy: number;
  readonly top5: number;
  readonly correct: number;
  readonly n: number;
  readonly temperature: number;
  readonly precision: 'float32' | 'int8';
  /** Absolute path of the ONNX graph. */
  readonly graph: string;
}

export interface ResizeRule {
  readonly size: number;
  readonly crop: number;
  readonly kernel: 'nearest' | 'linear' | 'cubic' | 'mitchell' | 'lanczos2' | 'lanczos3';
  readonly alpha: 'white' | 'drop';
}

export interface Family {
  readonly name: string;
  readonly description: string;
  readonly architecture: string;
  /** First 12 hex digits of the SHA-256 of manifest.json. */
  readonly version: string;
  readonly height: number;
  readonly width: number;
  readonly resize: ResizeRule;
  /** One name for each class, in the order of the logits. */
  readonly labels: readonly string[];
  readonly instances: readonly Instance[];
  readonly measuredOn: { dataset: string; part: string; scope: string; runtime: string };
  readonly license: string;
  readonly source: string;
}

/** The instance with p = 0; every family has one. */
export function fullInstance(instances: readonly Instance[]): Instance {
  const full = instances.find((i) => i.p === 0 && i.precision === 'float32');
  if (!full) throw new Error('a family without `full` cannot be loaded');
  return full;
}
