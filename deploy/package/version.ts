import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/**
 * Files with the version besides the packages' manifests, and how often it occurs; `$1` and `$2` are the text around
 * it.
 */
const PLACES: readonly { readonly file: string; readonly pattern: RegExp; readonly times: number }[] = [
  { file: 'deploy/docker/Dockerfile', pattern: /^(ARG VERSION=)\d+\.\d+\.\d+()$/gm, times: 1 },
  {
    file: 'deploy/k8s/components/release/kustomization.yaml',
    pattern: /((?:name: spanmesh\n +newTag|version\n +value): )\d+\.\d+\.\d+()$/gm,
    times: 3,
  },
  { file: 'docs/kubernetes.md', pattern: /((?:spanmesh:|^))\d+\.\d+\.\d+((?:`| \.|\n|: digest))/gm, times: 4 },
];

/** Places with another version than `version`, a line each; empty: there are none. */
export function otherVersions(version: string): string[] {
  return PLACES.flatMap(({ file, pattern, times }) => {
    const text = readFileSync(join(ROOT, file), 'utf8');
    const found = [...text.matchAll(pattern)];
    const wrong = found.filter(([whole, before = '', after = '']) => whole !== `${before}${version}${after}`);
    return [
      ...(found.length === times ? [] : [`${file}: ${found.length} places instead of ${times}`]),
      ...wrong.map(([whole]) => `${file}: ${whole.trim()}`),
    ];
  });
}

/** Writes a version everywhere except into the packages' manifests, which `npm version` writes. */
export function writeVersion(version: string): void {
  for (const { file, pattern } of PLACES) {
    const path = join(ROOT, file);
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll(pattern, `$1${version}$2`));
  }
}
