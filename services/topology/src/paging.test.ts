import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ApiError } from './api-error.ts';
import { compareKeys, type Key, MAX_PAGE_BYTES, MAX_PAGE_SIZE, pageOf } from './paging.ts';

const of = { key: (item: Key) => item, bytes: () => 10 };

function allPages(items: Key[], pageSize: number): Key[][] {
  const pages: Key[][] = [];
  let pageToken = '';
  do {
    const page = pageOf(items, { pageSize, pageToken }, of);
    pages.push(page.items);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return pages;
}

describe('pages', () => {
  it('together are the list, in order, each as large as asked for', () => {
    const keys = fc.uniqueArray(fc.tuple(fc.string(), fc.integer(), fc.string()), {
      selector: (key) => JSON.stringify(key),
    });
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 7 }), (unsorted, size) => {
        const sorted = (unsorted as Key[]).toSorted(compareKeys);
        const pages = allPages(sorted, size);
        expect(pages.flat()).toEqual(sorted);
        for (const page of pages.slice(0, -1)) expect(page).toHaveLength(size);
      }),
    );
  });

  it('go on where the last one ended, though its last object is gone', () => {
    const items = [['a'], ['b'], ['c'], ['d']];
    const { nextPageToken } = pageOf(items, { pageSize: 2, pageToken: '' }, of);
    expect(pageOf([['a'], ['bb'], ['d']], { pageSize: 2, pageToken: nextPageToken }, of).items).toEqual([
      ['bb'],
      ['d'],
    ]);
  });

  it('have a default and a largest size', () => {
    const items = Array.from({ length: 6000 }, (_, i) => [i]);
    expect(pageOf(items, { pageSize: 0, pageToken: '' }, of).items).toHaveLength(500);
    expect(pageOf(items, { pageSize: 1_000_000, pageToken: '' }, of).items).toHaveLength(MAX_PAGE_SIZE);
  });

  it('stay below what a message may have, and never stand still', () => {
    const items = [[1], [2], [3]];
    const large = { ...of, bytes: () => MAX_PAGE_BYTES };
    const first = pageOf(items, { pageSize: 10, pageToken: '' }, large);
    expect(first.items).toEqual([[1]]);
    expect(pageOf(items, { pageSize: 10, pageToken: first.nextPageToken }, large).items).toEqual([[2]]);
  });

  it.each(['x', 'e30', 'bnVsbA', Buffer.from('[{"a":1}]').toString('base64url'), 'A'.repeat(10_000)])(
    'refuse the token %s',
    (pageToken) => {
      let thrown: unknown;
      try {
        pageOf([[1]], { pageSize: 1, pageToken }, of);
      } catch (error) {
        thrown = error;
      }
      expect((thrown as ApiError).code).toBe(status.INVALID_ARGUMENT);
    },
  );
});
