import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generatedDocuments } from './tables.ts';

const root = join(import.meta.dirname, '../..');
const documents = await generatedDocuments();

describe('documents that are generated from the code', () => {
  it.each(documents)('$path is what `npm run docs:generate` writes', ({ path, text }) => {
    expect(readFileSync(join(root, path), 'utf8')).toBe(text);
  });
});
