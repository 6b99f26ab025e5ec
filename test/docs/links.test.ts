import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { documents } from './commands.ts';

const root = join(import.meta.dirname, '../..');
/** The text of a document without its code blocks. */
const read = (path: string): string => readFileSync(path, 'utf8').replaceAll(/^```[\s\S]*?^```$/gm, '');

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsOf(path: string): string[] {
  return [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('links within the documentation', () => {
  it.each(documents(root))('%s: each link leads to an existing file, and to one of its headings', (document) => {
    const links = [...read(join(root, document)).matchAll(/\]\((?!\w+:)([^)#]*)(?:#([^)]+))?\)/g)];
    const dead = links.filter(([, file = '', anchor]) => {
      const path = file === '' ? join(root, document) : join(root, dirname(document), file);
      return !existsSync(path) || (anchor !== undefined && !anchorsOf(path).includes(anchor));
    });
    expect(dead.map(([link]) => link)).toEqual([]);
  });
});
