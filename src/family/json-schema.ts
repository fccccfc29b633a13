/** Makes the JSON Schema of the manifest, by which `training/` checks what it writes. */
import { z } from 'zod';
import { manifestSchema } from './manifest.js';

/** The JSON Schema (draft 2020-12) of manifest.json, as text. */
export function manifestJsonSchema(): string {
  const schema = z.toJSONSchema(manifestSchema, { io: 'input' });
  return `${JSON.stringify({ title: 'dimmer family manifest', ...schema }, null, 2)}\n`;
}
