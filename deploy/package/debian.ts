import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { readManifest } from './bundle.ts';
import { shellFilesForDebian } from './shell-files.ts';
import { unpacked } from './unpacked.ts';

const DEBIAN = join(import.meta.dirname, '../debian');
/** Directory for the files that only this package uses. */
const HOME = '/usr/lib/spanmesh';
const INTERPRETER = `${HOME}/node`;
/** Node's name of each architecture → Debian's. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/**
 * Makes a Debian package for this machine's architecture, in `work`, and puts it into `out`. The package contains Node,
 * because the one of Debian 12 is too old. Needs dpkg-deb. `compression`: takes most of the time.
 * @returns the package's path
 */
export async function packForDebian(
  work: string,
  out: string,
  { compression = 'xz' }: { readonly compression?: 'xz' | 'none' } = {},
): Promise<string> {
  const { version, description } = readManifest();
  const architecture = ARCHITECTURES[process.arch];
  if (architecture === undefined) throw new Error(`there is no package for ${process.arch}`);
  const at = (...path: string[]) => join(work, ...path);
  for (const directory of [
    HOME,
    '/usr/bin',
    '/usr/share/doc/spanmesh',
    '/lib/systemd/system',
    '/etc/spanmesh',
    '/DEBIAN',
  ]) {
    mkdirSync(at(directory), { recursive: true });
  }
  await unpacked(at(HOME), INTERPRETER);
  copyFileSync(nodeBinary(), at(INTERPRETER));
  chmodSync(at(INTERPRETER), 0o755);
  symlinkSync(`..${HOME.slice('/usr'.length)}/lib/spanmesh.mjs`, at('/usr/bin/spanmesh'));
  cpSync(join(DEBIAN, 'README.md'), at('/usr/share/doc/spanmesh/README.md'));
  cpSync(at(HOME, 'LICENSE'), at('/usr/share/doc/spanmesh/copyright'));
  cpSync(join(DEBIAN, 'spanmesh@.service'), at('/lib/systemd/system/spanmesh@.service'));
  await shellFilesForDebian(work);
  const settings = readdirSync(DEBIAN).filter((name) => name.endsWith('.env'));
  for (const name of settings) copyFileSync(join(DEBIAN, name), at('/etc/spanmesh', name));
  for (const script of ['postinst', 'prerm', 'postrm']) {
    copyFileSync(join(DEBIAN, script), at('/DEBIAN', script));
    chmodSync(at('/DEBIAN', script), 0o755);
  }
  writeFileSync(at('/DEBIAN/conffiles'), settings.map((name) => `/etc/spanmesh/${name}\n`).join(''));
  writeFileSync(
    at('/DEBIAN/control'),
    `Package: spanmesh
Version: ${version}
Architecture: ${architecture}
Maintainer: spanmesh <spanmesh@localhost>
Section: net
Priority: optional
Depends: libc6 (>= 2.28), libstdc++6, passwd
Description: ${description}
`,
  );
  mkdirSync(out, { recursive: true });
  const file = join(out, `spanmesh_${version}_${architecture}.deb`);
  const packing = compression === 'xz' ? ['-Zxz', '-z1'] : ['-Znone'];
  execFileSync('dpkg-deb', ['--root-owner-group', ...packing, '--build', work, file], { stdio: 'pipe' });
  return file;
}

/** The version of Node with which the project is tested: that of the npm package `node`. */
function nodeBinary(): string {
  const manifest = createRequire(import.meta.url).resolve('node/package.json');
  return realpathSync(join(dirname(manifest), 'bin/node'));
}
