/** What the head of a request must be before anybody looks at its path (RFC 9110, 9112). */
import type { IncomingMessage } from 'node:http';
import { DimmerError } from '../errors.js';

/** Every recipient should read request lines of 8000 bytes (RFC 9112, 3); no path of ours is near that. */
const MAX_URL_BYTES = 8000;
/** uri-host [":" port] of RFC 3986: an address in brackets, or a name. Not empty: an http URI has a host (RFC 9110, 4.2.1). */
const HOST = /^(?:\[[\da-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})+)(?::\d{0,5})?$/i;
const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/i;

function bad(detail: string, expected: string, action = 'correct the client'): DimmerError {
  return new DimmerError('invalid-request', { detail, expected, action });
}

/** Why this request is refused, if it is. An absolute URL is made the path it means (RFC 9112, 3.2.2: it must be accepted). */
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
  // The router gets a path in any case; what was wrong is said before it matters.
  if (problem) request.url = '/';
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

/** RFC 9112, 3.2: without exactly one valid Host a request of HTTP/1.1 is refused with 400. */
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

/** RFC 9112, 6.1: a transfer coding that is not known gets 501, and HTTP/1.0 has none. */
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

/** For Expect with anything but 100-continue (RFC 9110, 10.1.1). */
export function expectationFailed(): DimmerError {
  return new DimmerError('expectation-failed', {
    detail: 'the Expect header asks for something that is not known here',
    expected: 'Expect: 100-continue, or none',
    action: 'leave the header out',
  });
}
