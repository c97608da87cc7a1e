/**
 * The built console, read once into memory: what is not in the folder at the start cannot be asked
 * for, so no path leads out of it. Names under assets/ carry a hash and never change.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { systemCode, TrunklineError } from '../../base/errors.ts';
import type { Reply } from './reply.ts';

/** A build has a handful; a wrong folder must not be read into memory. */
const filesMax = 500;

const types = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.css', 'text/css; charset=utf-8'],
  ['.json', 'application/json'],
  ['.map', 'application/json'],
  ['.svg', 'image/svg+xml'],
  ['.png', 'image/png'],
  ['.ico', 'image/x-icon'],
  ['.woff2', 'font/woff2'],
  ['.txt', 'text/plain; charset=utf-8'],
]);

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

interface ConsoleFile {
  readonly content: Buffer;
  readonly type: string;
  readonly etag: string;
  readonly caching: string;
}

export class ConsoleFiles {
  readonly #files = new Map<string, ConsoleFile>();

  /** A folder that is not there gives no files. Throws what else the file system throws. */
  static read(directory: string): ConsoleFiles {
    const files = new ConsoleFiles();
    for (const file of filesIn(directory)) files.#add(directory, file);
    return files;
  }

  get size(): number {
    return this.#files.size;
  }

  /** `path` as it stands in the request. Null when there is no such file. */
  reply(path: string, ifNoneMatch: string | undefined): Reply | null {
    const file = this.#files.get(path === '/' ? '/index.html' : path);
    if (file === undefined) return null;
    const isKnown = ifNoneMatch?.split(',').some((tag) => tag.trim() === file.etag) === true;
    return {
      status: isKnown ? 304 : 200,
      type: file.type,
      body: isKnown ? '' : file.content,
      headers: {
        etag: file.etag,
        'cache-control': file.caching,
        'content-security-policy': policy,
        'referrer-policy': 'no-referrer',
      },
    };
  }

  #add(directory: string, file: string): void {
    if (this.#files.size >= filesMax) {
      throw new TrunklineError(
        'config-invalid',
        `The console's folder ${directory} has more than ${filesMax} files; it is not a built console.`,
      );
    }
    const content = readFileSync(file);
    const path = `/${relative(directory, file).split(sep).join('/')}`;
    this.#files.set(path, {
      content,
      type: types.get(extname(file)) ?? 'application/octet-stream',
      etag: `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`,
      caching: path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
    });
  }
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .map((name) => join(directory, name))
      .filter((file) => statSync(file).isFile());
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}
