/** Reads families from MODELS_DIR and checks them: schema, SHA-256 of every file, number of labels. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { messageOf, StartError } from '../errors.js';
import { sha256Of } from '../file-digest.js';
import type { Family, Instance } from './instance.js';
import { labelsSchema, type Manifest, manifestSchema } from './manifest.js';

/**
 * All families in a folder, in the order of their folder names. Sub-folders without manifest.json are ignored.
 * Raises StartError if the folder is missing or a family is invalid.
 */
export async function loadFamilies(folder: string): Promise<Family[]> {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new StartError(`MODELS_DIR=${folder} is not a folder; expected one folder for each family in it`);
  }
  const families: Family[] = [];
  for (const entry of readdirSync(folder).sort()) {
    const path = join(folder, entry);
    if (existsSync(join(path, 'manifest.json'))) families.push(await loadFamily(path));
  }
  const names = families.map((f) => f.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice) throw new StartError(`two folders in ${folder} hold a family named ${twice}; rename one`);
  return families;
}

/** Reads the family in a folder. Raises StartError that says which file is wrong and why. */
export async function loadFamily(folder: string): Promise<Family> {
  // Resolves symbolic links, which mounted volumes have: onnxruntime refuses weights outside the graph's real folder.
  const root = realpathSync(folder);
  const bytes = readFileSync(join(root, 'manifest.json'));
  const manifest = parse(manifestSchema, bytes, join(folder, 'manifest.json'));
  for (const [name, expected] of Object.entries(manifest.files)) {
    const path = join(root, name);
    if (!existsSync(path))
      throw new StartError(`${join(folder, name)} is missing, but manifest.json lists it; copy the whole family`);
    const actual = await sha256Of(path);
    if (actual !== expected) {
      throw new StartError(
        `${join(folder, name)} has SHA-256 ${actual}, manifest.json says ${expected}; the file is damaged or was changed: copy the family again or export it anew`,
      );
    }
  }
  const labels = parse(labelsSchema, readFileSync(join(root, 'labels.json')), join(folder, 'labels.json'));
  if (labels.length !== manifest.classes) {
    throw new StartError(
      `${join(folder, 'labels.json')} has ${labels.length} labels, manifest.json says ${manifest.classes} classes`,
    );
  }
  const version = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
  return { ...toFamily(manifest, root, labels, version), folder: basename(resolve(folder)) };
}

function toFamily(manifest: Manifest, root: string, labels: string[], version: string): Omit<Family, 'folder'> {
  const { name, description, architecture, networks, input, measuredOn, license, source } = manifest;
  const full = manifest.instances.find((i) => i.id === 'full');
  const instances = manifest.instances.map((i): Instance => {
    const { file, sha256: _hash, smoothed, ...facts } = i;
    return {
      ...facts,
      accuracy: smoothed ?? i.top1,
      key: `${name}/${i.id}`,
      family: name,
      share: i.flops / (full?.flops ?? i.flops),
      graph: join(root, file),
    };
  });
  const { height, width, resize } = input;
  return {
    name,
    description,
    architecture,
    networks,
    version,
    height,
    width,
    resize,
    labels,
    instances,
    measuredOn,
    license,
    source,
  };
}

function parse<T>(schema: z.ZodType<T>, bytes: Buffer, path: string): T {
  let raw: unknown;
  try {
    raw = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new StartError(`${path} is not JSON: ${messageOf(error)}`);
  }
  const parsed = schema.safeParse(raw);
  if (!parsed.success) throw new StartError(`${path} does not match the format:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
