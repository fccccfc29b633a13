/**
 * Files of the page at /: a fixed list, read once and kept in memory. Paths of requests are never used as paths of
 * files.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { messageOf, StartError } from '../errors.js';

/** The repository's root, from src/http/ and also from dist/http/. */
const ROOT = new URL('../../', import.meta.url);

/** Path of a request -> file: the built page (`npm run build:web`) and its sample pictures. */
export const PAGE_FILES: Readonly<Record<string, { readonly file: string; readonly type: string }>> = {
  '/': { file: 'web/built/index.html', type: 'text/html; charset=utf-8' },
  '/assets/app.js': { file: 'web/built/assets/app.js', type: 'text/javascript; charset=utf-8' },
  '/assets/app.css': { file: 'web/built/assets/app.css', type: 'text/css; charset=utf-8' },
  '/icon.svg': { file: 'web/built/icon.svg', type: 'image/svg+xml' },
  '/samples/cat.jpg': { file: 'docs/examples/cat.jpg', type: 'image/jpeg' },
  '/samples/coffee.jpg': { file: 'docs/examples/coffee.jpg', type: 'image/jpeg' },
  '/samples/rocket.jpg': { file: 'docs/examples/rocket.jpg', type: 'image/jpeg' },
};

interface Body {
  readonly bytes: Buffer;
  readonly etag: string;
}

export interface PageFile {
  readonly type: string;
  readonly plain: Body;
  /** Compressed; undefined for JPEG, which is compressed already. */
  readonly gzip: Body | undefined;
}

const bodyOf = (bytes: Buffer): Body => ({
  bytes,
  etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
});

function read(file: string, type: string): PageFile {
  const bytes = readFileSync(new URL(file, ROOT));
  return {
    type,
    plain: bodyOf(bytes),
    gzip: type.startsWith('image/jpeg') ? undefined : bodyOf(gzipSync(bytes, { level: 9 })),
  };
}

let files: ReadonlyMap<string, PageFile> | undefined;

/** Path of a request -> file. Raises StartError if a file is missing. */
export function pageFiles(): ReadonlyMap<string, PageFile> {
  try {
    files ??= new Map(Object.entries(PAGE_FILES).map(([path, { file, type }]) => [path, read(file, type)]));
  } catch (error) {
    throw new StartError(
      `the page cannot be read (${messageOf(error)}): make it with npm run build:web, or set PLAYGROUND=off`,
    );
  }
  return files;
}
