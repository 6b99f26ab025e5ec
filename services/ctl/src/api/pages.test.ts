import { describe, expect, it } from 'vitest';
import { PAGE_SIZE, type PageRequest, pagesOf } from './pages.ts';

describe('the pages of a list', () => {
  const asked: PageRequest[] = [];
  const fetch = async (request: PageRequest) => {
    asked.push(request);
    const page = Number(request.pageToken);
    return { page, nextPageToken: page < 2 ? `${page + 1}` : '' };
  };

  it('come in order until one has no next one', async () => {
    asked.length = 0;
    const pages = await Array.fromAsync(pagesOf(fetch));
    expect(pages.map(({ page }) => page)).toEqual([0, 1, 2]);
    expect(asked).toEqual(['', '1', '2'].map((pageToken) => ({ pageSize: PAGE_SIZE, pageToken })));
  });

  it('are asked for when the one before has been read, and not after the reader has stopped', async () => {
    asked.length = 0;
    for await (const { page } of pagesOf(fetch)) {
      expect(asked).toHaveLength(page + 1);
      if (page === 1) break;
    }
    expect(asked).toHaveLength(2);
  });
});
