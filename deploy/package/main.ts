import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packForNpm } from './npm.ts';

// `npm run package`: what is released, in dist/.
const out = join(import.meta.dirname, '../../dist');
const work = mkdtempSync(join(tmpdir(), 'spanmesh-package-'));
try {
  console.log(await packForNpm(work, out));
} finally {
  rmSync(work, { recursive: true, force: true });
}
