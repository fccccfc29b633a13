/** A family of two networks (format 3), made of the tiny family. */
import { createHash } from 'node:crypto';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Golden, Manifest } from '../../src/family/manifest.js';
import { FAMILIES } from './app.js';

/** The only instance of network `b`: more accurate than any but `full`, for 70 % of its FLOPs. */
export const B_FULL = { id: 'b-full', network: 'b', flops: 302_556, macs: 151_278, top1: 0.855, correct: 513 };

/**
 * Writes the family `tiny` into a new sub-folder of `models` and returns that. Its own network is that of the tiny
 * family; network `b` runs the same graph as `full`.
 */
export function twoNetworks(models: string): string {
  const folder = join(models, 'tiny');
  cpSync(join(FAMILIES, 'tiny'), folder, { recursive: true });
  const read = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  const write = (name: string, content: unknown) => writeFileSync(join(folder, name), JSON.stringify(content));
  const { tolerance, cases } = read('golden.json') as Golden;
  const same = cases.filter((c) => c.instance === 'full').map((c) => ({ ...c, instance: B_FULL.id }));
  write('golden.json', { tolerance, cases: [...cases, ...same] });
  const golden = createHash('sha256')
    .update(readFileSync(join(folder, 'golden.json')))
    .digest('hex');
  const { instances, files, ...others } = read('manifest.json') as Manifest;
  const full = instances.find((i) => i.id === 'full');
  write('manifest.json', {
    ...others,
    formatVersion: 3,
    networks: { b: { architecture: 'wrn-10-1-base4', license: 'MIT', source: 'a copy, for tests' } },
    instances: [...instances, { ...full, ...B_FULL }],
    files: { ...files, 'golden.json': golden },
  });
  return folder;
}
