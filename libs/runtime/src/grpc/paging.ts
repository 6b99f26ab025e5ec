import { invalid } from './api-error.ts';
import type { Job } from './slices.ts';

/** Objects in a page if the caller gives no number. */
export const DEFAULT_PAGE_SIZE = 500;
/** Most objects in a page. */
export const MAX_PAGE_SIZE = 5000;
/** Bytes (estimated) in a page: the last object may exceed it by a little, and gRPC clients take 4 MB by default. */
export const MAX_PAGE_BYTES = 960 * 1024;
/** Most objects visited for one page: with a filter that matches few, the page ends early, with a token to go on. */
export const MAX_PAGE_VISITS = 16_384;
/** Longest token, characters. A token is a key with at most two labels. */
const MAX_TOKEN_CHARS = 8192;
/** Objects visited between two interruptions. */
const VISITS_PER_STEP = 256;

/** The key of an object in a list, by which the list is sorted. Keys of one list have the same kinds of parts. */
export type Key = readonly (string | number)[];

export interface PageRequest {
  /** 0: the default. */
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface Page<T> {
  readonly items: T[];
  /** Empty: there are no further pages. */
  readonly nextPageToken: string;
}

/**
 * An object that a list has visited; null: it does not belong to the list. `key`: its key; for several objects that are
 * skipped at once, the beginning of their keys.
 */
export interface Visit<T> {
  readonly item: T | null;
  readonly key: () => Key;
}

/** Compares keys; negative: `a` comes first. The beginning of a key comes before the key. */
export function compareKeys(a: Key, b: Key): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const left = a[i] ?? 0;
    const right = b[i] ?? 0;
    if (left === right) continue;
    return left < right ? -1 : 1;
  }
  return a.length - b.length;
}

/**
 * Index of the first object in `sorted` whose key comes after `after`; 0 without `after`. Keys are compared only in as
 * many parts as `after` has.
 */
export function firstAfter<T>(sorted: readonly T[], after: Key | undefined, keyOf: (item: T) => Key): number {
  if (after === undefined) return 0;
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const item = sorted[middle];
    if (item !== undefined && compareKeys(keyOf(item), after) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * One page of a list that is sorted by key. `from` yields the objects after a key, without visiting those before. The
 * page is made at once, and its work is limited: by its size, its bytes, and the objects visited.
 * @throws ApiError INVALID_ARGUMENT: not a token of this list.
 */
export function pageOf<T>(
  from: (after: Key | undefined) => Iterable<Visit<T>>,
  request: PageRequest,
  bytesOf: (item: T) => number,
): Page<T> {
  const size = sizeOf(request);
  const items: T[] = [];
  let bytes = 0;
  let visits = 0;
  let last: Visit<T> | undefined;
  for (const visit of from(parseToken(request.pageToken))) {
    const { item } = visit;
    if (item !== null) bytes += bytesOf(item);
    const isFull = item !== null && (items.length === size || (items.length > 0 && bytes > MAX_PAGE_BYTES));
    if (last !== undefined && (isFull || visits === MAX_PAGE_VISITS)) {
      return { items, nextPageToken: writeToken(last.key()) };
    }
    if (item !== null) items.push(item);
    last = visit;
    visits++;
  }
  return { items, nextPageToken: '' };
}

/**
 * One page of unsorted objects (null: skipped). All objects are visited, in slices, to find those that come next. An
 * object that is added or removed meanwhile may be missed or included; none is included twice.
 * @throws ApiError INVALID_ARGUMENT: not a token of this list.
 */
export function* pageOfUnsorted<T>(
  all: Iterable<T | null>,
  request: PageRequest,
  keyOf: (item: T) => Key,
): Job<Page<T>> {
  const size = sizeOf(request);
  const after = parseToken(request.pageToken);
  let next: { readonly item: T; readonly key: Key }[] = [];
  let visits = 0;
  for (const item of all) {
    if (++visits % VISITS_PER_STEP === 0) yield VISITS_PER_STEP;
    if (item === null) continue;
    const key = keyOf(item);
    if (after !== undefined && compareKeys(key, after) <= 0) continue;
    next.push({ item, key });
    // At most twice as many as are wanted are held: they are sorted and cut now and then, not each time.
    if (next.length >= 2 * (size + 1)) next = firstOf(next, size + 1);
  }
  yield visits % VISITS_PER_STEP;
  const page = firstOf(next, size + 1);
  const shown = page.slice(0, size);
  const last = shown.at(-1);
  const nextPageToken = page.length <= size || last === undefined ? '' : writeToken(last.key);
  return { items: shown.map(({ item }) => item), nextPageToken };
}

function firstOf<T extends { readonly key: Key }>(some: T[], count: number): T[] {
  return some.sort((a, b) => compareKeys(a.key, b.key)).slice(0, count);
}

/** Units of work (slices.ts) that making the page may take: a job yields them before it makes the page. */
export function pageUnits(request: PageRequest): number {
  return MAX_PAGE_VISITS / 16 + sizeOf(request);
}

/** Most objects that the requested page may have. */
export function sizeOf({ pageSize }: Pick<PageRequest, 'pageSize'>): number {
  return Math.min(pageSize || DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE);
}

/** The token of the page that begins after this key. */
export function writeToken(key: Key): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/**
 * The key in a token: that of the last object of the page before; undefined for the first page. @throws ApiError
 * INVALID_ARGUMENT
 */
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
