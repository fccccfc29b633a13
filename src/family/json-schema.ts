/** Writes the manifest's JSON Schema for `training/`: `npm run manifest-schema`. */
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { manifestSchema } from './manifest.js';

/** The JSON Schema (draft 2020-12) of manifest.json, as text. */
export function manifestJsonSchema(): string {
  const schema = z.toJSONSchema(manifestSchema, { io: 'input' });
  return `${JSON.stringify({ title: 'dimmer family manifest', ...schema }, null, 2)}\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const path = process.argv[2];
  if (!path) throw new Error('usage: json-schema.ts <file to write>');
  writeFileSync(path, manifestJsonSchema());
}
