import { invalid } from './api-error.ts';

/** Objects in an answer if the caller does not say (volconf.proto). */
export const DEFAULT_PAGE_SIZE = 500;
/** Most objects in an answer: below 3 MB, and gRPC clients take 4. */
export const MAX_PAGE_SIZE = 5000;
const MAX_TOKEN_CHARS = 1024;

/** What targets are in the order of: slots first, media or name, slot. */
export interface TargetKey {
  readonly isOperator: boolean;
  /** media id or name. */
  readonly id: string;
  /** 0 for operators' targets. */
  readonly index: number;
}

/** Negative: `a` comes first. */
export function compareKeys(a: TargetKey, b: TargetKey): number {
  if (a.isOperator !== b.isOperator) return a.isOperator ? 1 : -1;
  if (a.id !== b.id) return a.id < b.id ? -1 : 1;
  return a.index - b.index;
}

/**
 * One page of `all`, in any order.
 * @throws ApiError INVALID_ARGUMENT: not a token of this list.
 */
export function pageOf<T>(
  all: Iterable<T>,
  keyOf: (item: T) => TargetKey,
  { pageSize, pageToken }: { readonly pageSize: number; readonly pageToken: string },
): { items: T[]; nextPageToken: string } {
  const size = Math.min(pageSize || DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE);
  const after = parseToken(pageToken);
  const rest = [...all]
    .map((item) => ({ item, key: keyOf(item) }))
    .filter(({ key }) => after === null || compareKeys(key, after) > 0)
    .sort((a, b) => compareKeys(a.key, b.key));
  const page = rest.slice(0, size);
  const last = page.at(-1);
  const nextPageToken = rest.length > size && last !== undefined ? writeToken(last.key) : '';
  return { items: page.map(({ item }) => item), nextPageToken };
}

function writeToken({ isOperator, id, index }: TargetKey): string {
  return Buffer.from(JSON.stringify([isOperator, id, index])).toString('base64url');
}

/** null: from the first. */
function parseToken(token: string): TargetKey | null {
  if (token === '') return null;
  try {
    if (token.length > MAX_TOKEN_CHARS) throw new Error('length');
    const key: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    if (!Array.isArray(key) || key.length !== 3) throw new Error('shape');
    const [isOperator, id, index] = key as unknown[];
    if (typeof isOperator !== 'boolean' || typeof id !== 'string' || typeof index !== 'number')
      throw new Error('shape');
    return { isOperator, id, index };
  } catch {
    throw invalid('page_token is not one that this list gave: pass next_page_token as it came, or leave it empty.');
  }
}
