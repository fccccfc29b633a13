/**
 * Schema of manifest.json, which describes a family: its networks, their instances and the measured accuracy of each.
 * It is the contract with `training/`, which gets it as a generated JSON Schema.
 */
import { z } from 'zod';

/** Format 2 is a family of one network. Format 3 has `networks` besides, and instances of them. */
export const FORMAT_VERSIONS = [2, 3] as const;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits');
const fileName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'expected the bare name of a file in the folder of the family');
const fraction = z.number().min(0).max(1);
const count = z.int().nonnegative();

const resize = z
  .strictObject({
    size: z.int().positive().describe('the shorter side is resized to this many pixels'),
    crop: z.int().positive().describe('then a centred square of this many pixels is cut out'),
    kernel: z.enum(['nearest', 'linear', 'cubic', 'mitchell', 'lanczos2', 'lanczos3']),
    alpha: z.enum(['white', 'drop']).describe('flatten transparency on white, or drop the alpha channel'),
  })
  .refine((r) => r.crop <= r.size, 'crop cannot be larger than size');

const text = z.string().min(1);
const license = text.describe('of the weights, an SPDX identifier');
const source = text.describe('where the weights come from');

const NETWORK_NAME = 'expected a lower-case letter, then at most 15 lower-case letters or digits';
// No hyphen, so that an id can be read in one way only.
const networkName = z.string().regex(/^[a-z][a-z0-9]{0,15}$/, NETWORK_NAME);
const networks = z.record(networkName, z.strictObject({ architecture: text, license, source }), {
  error: ({ code }) => (code === 'invalid_key' ? NETWORK_NAME : undefined),
});

export const instanceSchema = z.strictObject({
  id: z
    .string()
    .regex(
      /^([a-z][a-z0-9]{0,15}-)?(full|p\d{2}-r\d{3})(-i8)?$/,
      'expected `full` or `p<2 digits>-r<thousandths>`, of another network with `<network>-` in front, then `-i8` if quantised',
    ),
  network: networkName
    .optional()
    .describe(
      'format 3: name in `networks` of the network that this is an instance of; absent for the network of `full`',
    ),
  p: z.int().nonnegative().max(99).describe('downsampling point; 0 for none'),
  r: z.number().gt(0).max(1).describe('downsampling ratio; 1 for none'),
  precision: z.enum(['float32', 'int8']),
  file: fileName,
  sha256,
  flops: z.int().positive().describe('for one picture, in the convention of flopsConvention'),
  macs: z.int().positive(),
  top1: fraction,
  top5: fraction,
  correct: count.describe('pictures whose first label is right, of n'),
  n: z.int().positive(),
  interval: z.tuple([fraction, fraction]).describe('95 % interval of top1 by the choice of pictures (Wilson)'),
  smoothed: fraction
    .optional()
    .describe('top1 smoothed to be monotone in cost, where n is small; if given, instances are compared by it'),
  temperature: z.number().positive().describe('logits are divided by this before the softmax'),
});

export const manifestSchema = z
  .strictObject({
    formatVersion: z.literal(FORMAT_VERSIONS),
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected lower-case letters, digits and hyphens'),
    description: z.string().min(1),
    architecture: text,
    networks: networks
      .optional()
      .describe('format 3: the networks beside that of `full`, by name; all have the same input and the same classes'),
    input: z.strictObject({ height: z.int().positive(), width: z.int().positive(), resize }),
    classes: z.int().min(2),
    flopsConvention: z.string().min(1),
    measuredOn: z.strictObject({
      dataset: z.string().min(1),
      part: z.string().min(1),
      scope: z.string().min(1).describe('which pictures of that part'),
      runtime: z.string().min(1).describe('what ran the exported graphs'),
    }),
    instances: z.array(instanceSchema).min(1),
    files: z.record(fileName, sha256).describe('SHA-256 of every file of the folder but manifest.json'),
    baseline: z
      .strictObject({
        description: z.string().min(1),
        top1: fraction,
        top5: fraction,
        correct: count,
        n: z.int().positive(),
      })
      .nullable()
      .describe('the same network trained plainly; null if none was trained'),
    provenance: z.strictObject({
      commit: z.string().min(1),
      recipe: z.record(z.string(), z.unknown()).describe('the configuration of the training run'),
      seed: z.int(),
      hours: z.number().nonnegative(),
      versions: z.record(z.string(), z.string()),
    }),
    license,
    source,
  })
  .superRefine((m, context) => {
    const issue: Issue = (path, message) => context.addIssue({ code: 'custom', path, message });
    const { height, width, resize: rule } = m.input;
    if (height !== rule.crop || width !== rule.crop) {
      issue(['input'], `the resize rule gives ${rule.crop} x ${rule.crop}, the input is ${width} x ${height}`);
    }
    const seen = new Set<string>();
    m.instances.forEach((instance, index) => {
      const at = ['instances', index];
      if (seen.has(instance.id)) issue([...at, 'id'], `${instance.id} is listed twice`);
      seen.add(instance.id);
      if (instance.id !== instanceId(instance)) {
        issue([...at, 'id'], `network, p, r and precision give ${instanceId(instance)}`);
      }
      if (instance.correct > instance.n) issue([...at, 'correct'], `${instance.correct} of ${instance.n}`);
      if (m.files[instance.file] !== instance.sha256) {
        issue([...at, 'sha256'], `differs from files["${instance.file}"]`);
      }
    });
    if (!seen.has('full')) issue(['instances'], 'there is no instance `full` (p = 0)');
    checkNetworks(m, issue);
    for (const name of ['weights.bin', 'labels.json', 'golden.json']) {
      if (!(name in m.files)) issue(['files'], `${name} is missing`);
    }
  });

export const labelsSchema = z.array(z.string().min(1)).min(2);

export const goldenSchema = z.strictObject({
  tolerance: z.number().positive().describe('largest allowed absolute difference of a logit'),
  cases: z
    .array(z.strictObject({ instance: z.string(), k: z.int().nonnegative(), logits: z.array(z.number()) }))
    .min(1),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type Golden = z.infer<typeof goldenSchema>;

type Issue = (path: (string | number)[], message: string) => void;

interface Networked {
  readonly formatVersion: (typeof FORMAT_VERSIONS)[number];
  readonly networks?: Readonly<Record<string, unknown>> | undefined;
  readonly instances: readonly z.infer<typeof instanceSchema>[];
}

/** Adds an issue for everything that is wrong with the networks of a manifest and with their instances. */
function checkNetworks({ formatVersion, networks, instances }: Networked, issue: Issue): void {
  const names = Object.keys(networks ?? {});
  if (formatVersion === 2 && networks) issue(['networks'], 'only format 3 has networks');
  if (formatVersion === 3 && names.length === 0) {
    issue(['networks'], 'format 3 has at least one network beside that of `full`; a family of one network is format 2');
  }
  const full = instances.find((i) => i.id === 'full');
  instances.forEach(({ network, flops }, index) => {
    if (network === undefined) return;
    const at = ['instances', index];
    if (formatVersion === 2) issue([...at, 'network'], 'only instances of format 3 have a network');
    else if (!names.includes(network)) {
      issue(
        [...at, 'network'],
        `networks has no ${network}; expected one of ${names.join(', ')}, or none for that of \`full\``,
      );
    }
    // Costs are shares of the FLOPs of `full`, so nothing may cost more.
    if (full && flops > full.flops) issue([...at, 'flops'], `more than ${full.flops}, those of \`full\``);
  });
  for (const name of names) {
    if (!instances.some((i) => i.network === name)) issue(['networks', name], 'no instance is of this network');
  }
}

/**
 * The id of an instance: `full`, or its p and r as in `p02-r500` (r in thousandths). The name of another network than
 * that of `full` is put in front, as in `lite0-full`, and `-i8` at the end if it is quantised.
 */
export function instanceId(i: Pick<z.infer<typeof instanceSchema>, 'network' | 'p' | 'r' | 'precision'>): string {
  const place =
    i.p === 0 ? 'full' : `p${String(i.p).padStart(2, '0')}-r${String(Math.round(i.r * 1000)).padStart(3, '0')}`;
  return `${i.network === undefined ? '' : `${i.network}-`}${place}${i.precision === 'int8' ? '-i8' : ''}`;
}
