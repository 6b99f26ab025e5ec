/** `npm run docs:generate`: writes the documents that are generated from the code. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedDocuments } from './tables.ts';

const root = join(import.meta.dirname, '../..');
for (const { path, text } of await generatedDocuments()) writeFileSync(join(root, path), text);
process.exit(0);
