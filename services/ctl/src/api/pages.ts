/** Objects asked for at once: the most that the API gives, for the fewest round trips. */
export const PAGE_SIZE = 5000;

/** Which page of a list is asked for. */
export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** The pages of a list, each asked for when the one before has been read. */
export async function* pagesOf<Page extends { readonly nextPageToken: string }>(
  fetch: (request: PageRequest) => Promise<Page>,
): AsyncGenerator<Page, void, undefined> {
  let pageToken = '';
  do {
    const page = await fetch({ pageSize: PAGE_SIZE, pageToken });
    yield page;
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
}
