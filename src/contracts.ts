/**
 * `npm run contracts`: writes the files that are generated from schemas (openapi.yaml, the manifest's JSON Schema,
 * .env.example), or only those named as arguments.
 */
import { writeFileSync } from 'node:fs';
import { exampleEnvironment } from './example-environment.js';
import { manifestJsonSchema } from './family/json-schema.js';
import { openApiYaml } from './http/openapi.js';

const FILES: Record<string, () => string> = {
  'openapi.yaml': openApiYaml,
  'training/sdpoint/manifest.schema.json': manifestJsonSchema,
  '.env.example': exampleEnvironment,
};

const wanted = process.argv.slice(2);
for (const [path, text] of Object.entries(FILES)) {
  if (wanted.length === 0 || wanted.includes(path)) writeFileSync(path, text());
}
