/** Makes src/schema.ts, the types of openapi.yaml. `npm run contracts` at the root runs it; a test fails on drift. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript';
import ts from 'typescript';

export const SCHEMA = new URL('src/schema.ts', import.meta.url);
const OPENAPI = new URL('../../openapi.yaml', import.meta.url);
/** Bytes are strings to OpenAPI, and Blobs to fetch. */
const BLOB = ts.factory.createTypeReferenceNode('Blob');

export async function schemaText(): Promise<string> {
  const nodes = await openapiTS(OPENAPI, {
    transform: (schema) =>
      'contentMediaType' in schema && schema.contentMediaType === 'application/octet-stream' ? BLOB : undefined,
  });
  return COMMENT_HEADER + astToString(nodes);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(SCHEMA, await schemaText());
