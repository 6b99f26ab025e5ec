import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUNDLE_NODE, bundle, nativeRange, readManifest } from './bundle.ts';
import { manPagesForNpm } from './shell-files.ts';

/**
 * Makes the npm package in `work` and packs it into `out`. It has one dependency, the native CRC, and that one is
 * optional.
 * @returns the tarball's path
 */
export async function packForNpm(work: string, out: string): Promise<string> {
  const { version, description, license } = readManifest();
  await bundle(work);
  const manifest = {
    name: 'spanmesh',
    version,
    description,
    license,
    type: 'module',
    bin: { spanmesh: 'lib/spanmesh.mjs' },
    man: await manPagesForNpm(work),
    engines: { node: `>=${BUNDLE_NODE}` },
    optionalDependencies: { '@node-rs/crc32': nativeRange() },
    files: ['lib', 'gen', 'assets', 'console', 'proto', 'man', 'LICENSE', 'THIRD-PARTY.md'],
  };
  writeFileSync(join(work, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  cpSync(join(import.meta.dirname, 'README.md'), join(work, 'README.md'));
  mkdirSync(out, { recursive: true });
  const printed = execFileSync('npm', ['pack', '--json', '--pack-destination', out], { cwd: work, encoding: 'utf8' });
  const [packed] = JSON.parse(printed) as { filename: string }[];
  return join(out, packed!.filename);
}
