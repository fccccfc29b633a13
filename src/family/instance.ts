/**
 * A family (one network at many costs, or several such networks for the same classes) and its instances (ways of running
 * a network, each with its cost and accuracy). Plain data; every room may import this file.
 */

/** A network of a family. */
export interface Network {
  readonly architecture: string;
  /** Of the weights. */
  readonly license: string;
  /** Where the weights come from. */
  readonly source: string;
}

export interface Instance {
  /**
   * Unique over all loaded instances: name of the family and id, `cifar10/p02-r500`. In a family that replaces another
   * one in service also its version, `cifar10@0123456789ab/p02-r500`, as both are loaded for a while.
   */
  readonly key: string;
  /** `full`, `p02-r500`, ...; of another network than the family's own with its name in front: `lite0-p02-r500`. */
  readonly id: string;
  /** Name of the family. */
  readonly family: string;
  /** Name of its network in the family's `networks`; undefined for the family's own network. */
  readonly network?: string | undefined;
  /** Downsampling point, where the feature map is pooled: 0 nowhere, 1 after the stem, k + 1 after residual block k. */
  readonly p: number;
  /** Downsampling ratio: height and width after pooling over those before; 1 for none. */
  readonly r: number;
  /** FLOPs for one picture; a multiply and an add count as two. */
  readonly flops: number;
  /** Multiply-accumulate operations for one picture: half the FLOPs. */
  readonly macs: number;
  /** FLOPs over those of `full`, in (0, 1]. */
  readonly share: number;
  /** Measured top-1 accuracy on n pictures, in 0..1. */
  readonly top1: number;
  /** 95 % interval of top1. */
  readonly interval: readonly [number, number];
  /**
   * Accuracy by which instances are compared, also with a budget's `accuracy`: top1, or smoothed as in the manifest.
   */
  readonly accuracy: number;
  /** Measured top-5 accuracy, in 0..1. */
  readonly top5: number;
  /** Pictures whose most probable label is right, of n. */
  readonly correct: number;
  readonly n: number;
  /** Logits are divided by this before the softmax. */
  readonly temperature: number;
  readonly precision: 'float32' | 'int8';
  /** Absolute path of the ONNX graph. */
  readonly graph: string;
}

/** How pictures are resized for a family; the same rule as in training. */
export interface ResizeRule {
  /** The shorter side is resized to this many pixels. */
  readonly size: number;
  /** Then a centred square with sides of this many pixels is cut out. */
  readonly crop: number;
  readonly kernel: 'nearest' | 'linear' | 'cubic' | 'mitchell' | 'lanczos2' | 'lanczos3';
  /** Transparent pixels: put on a white background, or just without the alpha channel. */
  readonly alpha: 'white' | 'drop';
}

/** Architecture, licence and source are those of the family's own network, to which `full` belongs. */
export interface Family extends Network {
  readonly name: string;
  /** Name of the folder that holds it. */
  readonly folder: string;
  readonly description: string;
  /** The family's other networks by their names; undefined if it has one network only. */
  readonly networks?: Readonly<Record<string, Network>> | undefined;
  /** First 12 hex digits of the SHA-256 of manifest.json. */
  readonly version: string;
  /** Input size of the network in pixels. */
  readonly height: number;
  readonly width: number;
  readonly resize: ResizeRule;
  /** One name for each class, in the order of the logits. */
  readonly labels: readonly string[];
  readonly instances: readonly Instance[];
  readonly measuredOn: { dataset: string; part: string; scope: string; runtime: string };
}

/** The same family with its version in the keys of its instances. */
export const withVersionInKeys = (family: Family): Family => ({
  ...family,
  instances: family.instances.map((i) => ({ ...i, key: `${family.name}@${family.version}/${i.id}` })),
});

/** The instance `full`: the family's own network without downsampling, in float32. Every family has one. */
export function fullInstance(instances: readonly Instance[]): Instance {
  const full = instances.find((i) => i.id === 'full');
  if (!full) throw new Error('a family without `full` cannot be loaded');
  return full;
}

/** Whether two instances are the same network with the same downsampling: they can differ in precision only. */
export const samePlace = (a: Instance, b: Instance): boolean => a.network === b.network && a.p === b.p && a.r === b.r;

/** The float32 instance that an int8 instance was made from; undefined if the family has none. */
export const floatOf = (int8: Instance, instances: readonly Instance[]): Instance | undefined =>
  instances.find((i) => i.precision === 'float32' && samePlace(i, int8));
