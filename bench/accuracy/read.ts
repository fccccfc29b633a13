import { readFileSync } from 'node:fs';
import { fail } from '../support.js';
import type { Reference } from './compare.js';
import { type Packed, unpack } from './reference.js';

/** Reads a reference file. Ends the process if the reference was made for another version of the model. */
export function readReference(path: string, version: string): Reference {
  const reference = unpack(JSON.parse(readFileSync(path, 'utf8')) as Packed);
  if (reference.modelVersion !== version) {
    fail(`${path} is of ${reference.modelVersion}, the service has ${version}; make it anew`);
  }
  return reference;
}
