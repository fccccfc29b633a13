/** Pure: how the servers beside dimmer are asked, and how their answers are read. */

import type { Target } from '../../src/load/client.js';

const BOUNDARY = 'dimmer-bench';
const HEAD = Buffer.from(
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="images"; filename="picture"\r\nContent-Type: image/webp\r\n\r\n`,
);
const END = Buffer.from(`\r\n--${BOUNDARY}--\r\n`);

export interface Protocol {
  readonly path: string;
  readonly contentType: string;
  /** A picture's file as the body of a request, in the form that the server's own guide has for pictures. */
  encode(picture: Buffer): Buffer;
  /** json: of an answer; undefined where it names no class. */
  answered(json: unknown): unknown;
}

interface Named {
  readonly index?: unknown;
}

export const PROTOCOLS = {
  /** An argument that is a list of pictures is a form; the answers of a batch are a list. */
  bentoml: {
    path: '/predict',
    contentType: `multipart/form-data; boundary=${BOUNDARY}`,
    encode: (picture) => Buffer.concat([HEAD, picture, END]),
    answered: (json) => (json as Named[] | null)?.[0]?.index,
  },
  /** JSON with the picture in base64, as in its guide to fast image classification. */
  litserve: {
    path: '/predict',
    contentType: 'application/json',
    encode: (picture) => Buffer.from(JSON.stringify({ image: picture.toString('base64') })),
    answered: (json) => (json as Named | null)?.index,
  },
} as const satisfies Record<string, Protocol>;

export type Peer = keyof typeof PROTOCOLS;

/** text: the body of any answer; label: the true one. `unknown` where it names no class: what else it says is not told apart. */
export function readPeer(peer: Peer, text: string, label: number | undefined): { reason: string; correct?: boolean } {
  const index = PROTOCOLS[peer].answered(parsed(text));
  return typeof index === 'number' ? { reason: 'ok', correct: index === label } : { reason: 'unknown' };
}

/** A target with the format of its server. */
export function withFormat<T extends { readonly peer?: Peer }>(target: T): T & Pick<Target, 'format'> {
  const { peer } = target;
  if (peer === undefined) return target;
  return { ...target, format: { encode: PROTOCOLS[peer].encode, read: (text, label) => readPeer(peer, text, label) } };
}

/** Errors of servers need not be JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
