import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ApiError } from './api-error.ts';
import {
  compareKeys,
  firstAfter,
  type Key,
  type Page,
  type PageRequest,
  pageOf,
  pageOfUnsorted,
  pageUnits,
  parseToken,
  writeToken,
} from './paging.ts';
import { runNow } from './slices.ts';

// Written once more: a change of them must be noticed.
const MAX_PAGE_BYTES = 960 * 1024;
const MAX_PAGE_SIZE = 5000;
const MAX_PAGE_VISITS = 16_384;

/** A page of sorted keys. `looked`: how many objects were visited. */
function keysPage(
  items: readonly Key[],
  request: PageRequest,
  { bytes = 10, matches = (_: Key) => true }: { bytes?: number; matches?: (item: Key) => boolean } = {},
): Page<Key> & { looked: number } {
  let looked = 0;
  const from = function* (after: Key | undefined) {
    for (let at = firstAfter(items, after, (item) => item); at < items.length; at++) {
      looked++;
      const item = items[at]!;
      yield { item: matches(item) ? item : null, key: () => item };
    }
  };
  return { ...pageOf(from, request, () => bytes), looked };
}

function allPages(of: (request: PageRequest) => Page<Key>, pageSize: number): Key[][] {
  const pages: Key[][] = [];
  let pageToken = '';
  do {
    const page = of({ pageSize, pageToken });
    pages.push(page.items);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return pages;
}

it('the beginning of a key comes before the key, whatever follows', () => {
  for (const rest of [-1, 0, 1, '', 'x']) {
    expect(compareKeys(['a'], ['a', rest])).toBeLessThan(0);
    expect(compareKeys(['a', rest], ['a'])).toBeGreaterThan(0);
  }
  expect(compareKeys(['a', 1], ['a', 1])).toBe(0);
});

describe('pages', () => {
  it('form the list, in order, each as large as asked for', () => {
    const keys = fc.uniqueArray(fc.tuple(fc.string(), fc.integer(), fc.string()), {
      selector: (key) => JSON.stringify(key),
    });
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 7 }), (unsorted, size) => {
        const sorted = (unsorted as Key[]).toSorted(compareKeys);
        const inOrder = allPages((request) => keysPage(sorted, request), size);
        const inNone = allPages((request) => runNow(pageOfUnsorted(unsorted as Key[], request, (key) => key)), size);
        for (const pages of [inOrder, inNone]) {
          expect(pages.flat()).toEqual(sorted);
          for (const page of pages.slice(0, -1)) expect(page).toHaveLength(size);
        }
      }),
    );
  });

  it('go on where the last one ended, even if its last object is gone', () => {
    const items = [['a'], ['b'], ['c'], ['d']];
    const { nextPageToken } = keysPage(items, { pageSize: 2, pageToken: '' });
    expect(keysPage([['a'], ['bb'], ['d']], { pageSize: 2, pageToken: nextPageToken }).items).toEqual([['bb'], ['d']]);
  });

  it('visit no more objects than they hold, wherever they begin', () => {
    const items = Array.from({ length: 100_000 }, (_, i) => [i]);
    let pageToken = '';
    for (let i = 0; i < 50; i++) {
      const page = keysPage(items, { pageSize: 1, pageToken });
      expect([page.items, page.looked]).toEqual([[[i]], 2]);
      pageToken = page.nextPageToken;
    }
  });

  // Limits: grpc/paging.ts MAX_PAGE_VISITS
  it('end early, with a token, when a filter matches few objects', () => {
    const items = Array.from({ length: 3 * MAX_PAGE_VISITS }, (_, i) => [i]);
    const matches = ([n]: Key) => n === items.length - 1;
    let pages = 0;
    let found: Key[] = [];
    for (let pageToken = ''; pages === 0 || pageToken !== ''; pages++) {
      const page = keysPage(items, { pageSize: 10, pageToken }, { matches });
      expect(page.looked).toBeLessThanOrEqual(MAX_PAGE_VISITS + 1);
      found = [...found, ...page.items];
      pageToken = page.nextPageToken;
    }
    expect([pages, found]).toEqual([3, [[items.length - 1]]]);
  });

  it('of unsorted objects are made in small steps', () => {
    const items = Array.from({ length: 20_000 }, (_, i) => [(i * 7919) % 20_000]);
    const job = pageOfUnsorted(items, { pageSize: 3, pageToken: '' }, (item) => item);
    let most = 0;
    for (let step = job.next(); ; step = job.next()) {
      if (step.done === true) {
        expect(step.value.items).toEqual([[0], [1], [2]]);
        break;
      }
      most = Math.max(most, step.value);
    }
    expect(most).toBeLessThanOrEqual(256);
  });

  // Limits: grpc/paging.ts MAX_PAGE_SIZE
  it('have a default and a largest size', () => {
    const items = Array.from({ length: 6000 }, (_, i) => [i]);
    expect(keysPage(items, { pageSize: 0, pageToken: '' }).items).toHaveLength(500);
    expect(keysPage(items, { pageSize: 1_000_000, pageToken: '' }).items).toHaveLength(MAX_PAGE_SIZE);
  });

  // Limits: grpc/paging.ts MAX_PAGE_BYTES
  it('stay smaller than a message may be, and always hold an object', () => {
    const items = [[1], [2], [3]];
    const ofBytes = (bytes: number) => keysPage(items, { pageSize: 10, pageToken: '' }, { bytes }).items;
    expect(ofBytes(MAX_PAGE_BYTES / 3)).toEqual(items);
    expect(ofBytes(MAX_PAGE_BYTES / 3 + 1)).toEqual([[1], [2]]);
    const large = { bytes: MAX_PAGE_BYTES };
    const first = keysPage(items, { pageSize: 10, pageToken: '' }, large);
    expect(first.items).toEqual([[1]]);
    expect(keysPage(items, { pageSize: 10, pageToken: first.nextPageToken }, large).items).toEqual([[2]]);
  });

  // Limits: grpc/paging.ts MAX_TOKEN_CHARS
  it('take a token of the largest length, and none that is longer', () => {
    // Three bytes are encoded as four characters.
    const token = (chars: number) => writeToken(['x'.repeat((chars / 4) * 3 - '[""]'.length)]);
    expect(token(8192)).toHaveLength(8192);
    expect(parseToken(token(8192))?.[0]).toHaveLength(6140);
    expect(() => parseToken(token(8196))).toThrow(/page_token/);
  });

  it('of unsorted objects count each object that was visited, once', () => {
    const items = Array.from({ length: 1000 }, (_, i) => (i % 2 === 0 ? [i] : null));
    let units = 0;
    for (const step of pageOfUnsorted(items, { pageSize: 3, pageToken: '' }, (item) => item)) units += step;
    expect(units).toBe(1000);
  });

  it('count as work both their objects and those that may be visited for them', () => {
    const units = (pageSize: number) => pageUnits({ pageSize, pageToken: '' });
    expect(units(2) - units(1)).toBe(1);
    expect(units(0)).toBe(units(500));
    expect(units(MAX_PAGE_SIZE + 1)).toBe(units(MAX_PAGE_SIZE));
    expect(units(1)).toBeGreaterThan(MAX_PAGE_VISITS / 32);
  });

  // Causes: code grpc/paging.ts INVALID_ARGUMENT
  // Causes: code grpc/api-error.ts INVALID_ARGUMENT
  it.each(['x', 'e30', 'bnVsbA', Buffer.from('[{"a":1}]').toString('base64url'), 'A'.repeat(10_000)])(
    'refuse the token %s',
    (pageToken) => {
      let thrown: unknown;
      try {
        keysPage([[1]], { pageSize: 1, pageToken });
      } catch (error) {
        thrown = error;
      }
      expect((thrown as ApiError).code).toBe(status.INVALID_ARGUMENT);
    },
  );
});
