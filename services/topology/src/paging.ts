import { invalid } from './api-error.ts';

/** Objects in an answer if the caller does not say. */
export const DEFAULT_PAGE_SIZE = 500;
/** Most objects in an answer. */
export const MAX_PAGE_SIZE = 5000;
/** Bytes (estimated) in an answer: well below the 4 MB that gRPC clients take unless told otherwise. */
export const MAX_PAGE_BYTES = 2 * 1024 * 1024;
/** A token is a key with at most two labels. */
const MAX_TOKEN_CHARS = 8192;

/** What a list is in the order of. Keys of one list have the same kinds of parts. */
export type Key = readonly (string | number)[];

export interface Page<T> {
  readonly items: T[];
  readonly nextPageToken: string;
}

/** Negative: `a` comes first. */
export function compareKeys(a: Key, b: Key): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const left = a[i]!;
    const right = b[i]!;
    if (left === right) continue;
    return left < right ? -1 : 1;
  }
  return a.length - b.length;
}

/**
 * One page of `all`, which must be in the order of its keys.
 * @throws ApiError INVALID_ARGUMENT: not a token of this list.
 */
export function pageOf<T>(
  all: Iterable<T>,
  request: { readonly pageSize: number; readonly pageToken: string },
  of: { readonly key: (item: T) => Key; readonly bytes: (item: T) => number },
): Page<T> {
  const size = Math.min(request.pageSize || DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE);
  const after = parseToken(request.pageToken);
  const items: T[] = [];
  let bytes = 0;
  for (const item of all) {
    if (after !== undefined && compareKeys(of.key(item), after) <= 0) continue;
    bytes += of.bytes(item);
    if (items.length === size || (items.length > 0 && bytes > MAX_PAGE_BYTES)) {
      return { items, nextPageToken: writeToken(of.key(items.at(-1)!)) };
    }
    items.push(item);
  }
  return { items, nextPageToken: '' };
}

function writeToken(key: Key): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/** The key of the last object of the page before; undefined for the first page. */
export function parseToken(token: string): Key | undefined {
  if (token === '') return undefined;
  try {
    if (token.length > MAX_TOKEN_CHARS) throw new Error('length');
    const key: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    if (!Array.isArray(key) || !key.every((part) => typeof part === 'string' || typeof part === 'number')) {
      throw new Error('shape');
    }
    return key;
  } catch {
    throw invalid('page_token is not one that this list gave: pass next_page_token as it came, or leave it empty.');
  }
}
