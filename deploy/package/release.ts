// `npm run release -- VERSION`: writes a version everywhere. `npm run release`: checks that everything is ready for a
// release of the version in package.json, and makes the packages to release, in dist/. It publishes nothing: its last
// lines say how to publish.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readManifest } from './bundle.ts';
import { otherVersions, writeVersion } from './version.ts';

const ROOT = join(import.meta.dirname, '../..');
const CHECKS: readonly (readonly string[])[] = [
  ['npm', 'run', '--silent', 'lint'],
  ['npm', 'run', '--silent', 'typecheck'],
  ['npm', 'run', '--silent', 'proto:lint'],
  ['npm', 'run', '--silent', 'proto:breaking'],
  ['npm', 'test'],
  ['npm', 'run', '--silent', 'package'],
];

/** What is not ready, found before anything is run. */
function problems(version: string): string[] {
  const changes = readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8');
  const dirty = execFileSync('git', ['status', '--porcelain'], { cwd: ROOT, encoding: 'utf8' }).trim();
  return [
    ...otherVersions(version),
    ...(changes.includes(`\n## ${version}\n`) ? [] : [`CHANGELOG.md has nothing of ${version}`]),
    ...(dirty === '' ? [] : [`not committed:\n${dirty}`]),
  ];
}

function run(command: readonly string[]): boolean {
  console.log(`── ${command.join(' ')}`);
  const [program = '', ...args] = command;
  return spawnSync(program, args, { cwd: ROOT, stdio: 'inherit' }).status === 0;
}

const [wanted] = process.argv.slice(2);
if (wanted !== undefined) {
  if (!/^\d+\.\d+\.\d+$/.test(wanted)) throw new Error(`${wanted} is no version`);
  const args = ['--no-git-tag-version', '--allow-same-version', '--workspaces', '--include-workspace-root'];
  if (!run(['npm', 'version', wanted, ...args])) process.exit(1);
  writeVersion(wanted);
  console.log(`now write what ${wanted} brings into CHANGELOG.md, commit, and npm run release`);
} else {
  const { version } = readManifest();
  const found = problems(version);
  for (const problem of found) console.error(problem);
  if (found.length > 0 || !CHECKS.every(run)) process.exit(1);
  console.log(`${version} is in dist/. What is left:
  cp libs/proto/gen/spanmesh.binpb proto/released.binpb && git commit -am 'api: ${version} as released'
  git tag -a v${version} -m ${version}
  npm publish dist/spanmesh-${version}.tgz
  docker build -f deploy/docker/Dockerfile -t REGISTRY/spanmesh:${version} . && docker push REGISTRY/spanmesh:${version}`);
}
