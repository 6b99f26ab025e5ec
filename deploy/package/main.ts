import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packForDebian } from './debian.ts';
import { packForNpm } from './npm.ts';

// `npm run package [npm] [debian]`: what is released, in dist/; all of it unless some is named.
const PACKERS = { npm: packForNpm, debian: packForDebian };
const kinds = process.argv.slice(2);
const out = join(import.meta.dirname, '../../dist');
for (const [kind, pack] of Object.entries(PACKERS)) {
  if (kinds.length > 0 && !kinds.includes(kind)) continue;
  const work = mkdtempSync(join(tmpdir(), 'spanmesh-package-'));
  try {
    mkdirSync(join(work, kind));
    console.log(await pack(join(work, kind), out));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
