/** The body of an answer: JSON, and behind it the outputs that are binary data. Pure. */
import type { z } from 'zod';
import type { Scored } from '../../classify.js';
import { facts, outputsOf, type Wanted } from '../../oip/outputs.js';
import type { inferResponse } from '../../oip/schemas.js';

/** jsonLength: where binary data begins; undefined if there is none. id: the request's own, which comes back. */
export function answerOf(
  scored: Scored,
  labels: readonly string[],
  wanted: readonly Wanted[],
  id: string | undefined,
): { readonly body: Buffer; readonly jsonLength: number | undefined } {
  const { model, modelVersion } = scored.answer;
  const tail: Buffer[] = [];
  const outputs = outputsOf(scored, labels, wanted).map(({ name, shape, datatype, binary, values, bytes }) => {
    if (!binary) return { name, shape, datatype, data: values() };
    const data = bytes();
    tail.push(data);
    return { name, shape, datatype, parameters: { binary_data_size: data.length } };
  });
  const response: z.infer<typeof inferResponse> = {
    model_name: model,
    model_version: modelVersion,
    ...(id === undefined ? {} : { id }),
    parameters: facts(scored.answer),
    outputs,
  };
  const json = Buffer.from(JSON.stringify(response));
  return tail.length === 0
    ? { body: json, jsonLength: undefined }
    : { body: Buffer.concat([json, ...tail]), jsonLength: json.length };
}
