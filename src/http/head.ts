/** Checks the head of a request (version, target, Host, Transfer-Encoding) before it is routed (RFC 9110, 9112). */
import type { IncomingMessage } from 'node:http';
import { DimmerError } from '../errors.js';
import { isUnderV2 } from './v2/errors.js';

/** Servers should accept request lines of at least 8000 bytes (RFC 9112, 3); paths of this service are far shorter. */
const MAX_URL_BYTES = 8000;
/** uri-host [":" port] of RFC 3986: an IP address in brackets, or a name; not empty (RFC 9110, 4.2.1). */
const HOST = /^(?:\[[\da-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})+)(?::\d{0,5})?$/i;
const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/i;

function bad(detail: string, expected: string, action = 'correct the client'): DimmerError {
  return new DimmerError('invalid-request', { detail, expected, action });
}

/**
 * The error for a request whose head is wrong; undefined if it is right. An absolute URL as target, which servers must
 * accept (RFC 9112, 3.2.2), is replaced by its path in `request.url`.
 */
export function refusalOf(request: IncomingMessage): DimmerError | undefined {
  return wrongVersion(request) ?? wrongTarget(request) ?? wrongHost(request) ?? wrongEncoding(request);
}

function wrongVersion({ httpVersionMajor, httpVersion }: IncomingMessage): DimmerError | undefined {
  return httpVersionMajor === 1 ? undefined : versionNotSupported(httpVersion);
}

export function versionNotSupported(version: string): DimmerError {
  return new DimmerError('version-not-supported', {
    detail: `the request is in HTTP/${version}`,
    expected: 'HTTP/1.1 or HTTP/1.0',
    action: 'send it as HTTP/1.1, or through a proxy that does',
  });
}

export function uriTooLong(): DimmerError {
  return new DimmerError('uri-too-long', {
    detail: `the URL has more than ${MAX_URL_BYTES} bytes`,
    expected: `at most ${MAX_URL_BYTES} bytes; pictures are sent as the body of POST /classify`,
    action: 'send a shorter URL',
  });
}

function wrongTarget(request: IncomingMessage): DimmerError | undefined {
  const url = request.url ?? '';
  const problem = targetProblem(request, url);
  // The router needs a valid path; the refusal is sent before any route handles the request. The path decides the shape
  // of the refusal.
  if (problem) request.url = isUnderV2(url) ? '/v2' : '/';
  return problem;
}

function targetProblem(request: IncomingMessage, url: string): DimmerError | undefined {
  if (url.length > MAX_URL_BYTES) return uriTooLong();
  if (url === '*') {
    return request.method === 'OPTIONS' ? undefined : bad('* is a target for OPTIONS only', 'a path such as /models');
  }
  let path = url;
  if (!url.startsWith('/')) {
    const [, host = '', rest = ''] = ABSOLUTE.exec(url) ?? [];
    if (!HOST.test(host)) return bad('the target of the request is neither a path nor an http URL', 'such as /models');
    path = rest.startsWith('/') ? rest : `/${rest}`;
    request.url = path;
  }
  if (!path.includes('%')) return undefined;
  try {
    decodeURI(path.split('?', 1)[0] as string);
    return undefined;
  } catch {
    return bad(
      'the path has a % that begins no encoded character of UTF-8',
      'for instance %20, and %25 for a % itself',
    );
  }
}

/** A request of HTTP/1.1 without exactly one valid Host header is refused with 400 (RFC 9112, 3.2). */
function wrongHost({ rawHeaders, httpVersionMinor }: IncomingMessage): DimmerError | undefined {
  let host: string | undefined;
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length !== 4 || name.toLowerCase() !== 'host') continue;
    host = rawHeaders[i + 1];
    count += 1;
  }
  const expected = 'one Host header, such as Host: example.com:8080';
  if (count > 1) return bad(`there are ${count} Host headers`, expected);
  if (host === undefined) return httpVersionMinor === 0 ? undefined : bad('there is no Host header', expected);
  return HOST.test(host) ? undefined : bad('the Host header holds no host', expected);
}

/** An unknown transfer coding is refused with 501; HTTP/1.0 has no Transfer-Encoding (RFC 9112, 6.1). */
function wrongEncoding({ headers, httpVersionMinor }: IncomingMessage): DimmerError | undefined {
  const coding = headers['transfer-encoding'];
  if (coding === undefined) return undefined;
  if (httpVersionMinor === 0)
    return bad('a request of HTTP/1.0 has a Transfer-Encoding', 'Content-Length, or HTTP/1.1');
  if (coding.toLowerCase() === 'chunked') return undefined;
  return new DimmerError('not-implemented', {
    detail: 'the body has a Transfer-Encoding that is not known here',
    expected: 'Transfer-Encoding: chunked alone, or Content-Length',
    action: 'send the body without compressing it',
  });
}

/** The error for an Expect header with anything but 100-continue (RFC 9110, 10.1.1). */
export function expectationFailed(): DimmerError {
  return new DimmerError('expectation-failed', {
    detail: 'the Expect header asks for something that is not known here',
    expected: 'Expect: 100-continue, or none',
    action: 'leave the header out',
  });
}
