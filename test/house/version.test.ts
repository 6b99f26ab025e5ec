import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readManifest } from '../../deploy/package/bundle.ts';
import { otherVersions } from '../../deploy/package/version.ts';
import { packages } from './packages.ts';

const root = join(import.meta.dirname, '../..');
const { version } = readManifest();

describe('the version', () => {
  it('is the same in all files that contain it', () => {
    expect(otherVersions(version)).toEqual([]);
    for (const { path } of packages(root)) {
      const manifest = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) as { version: string };
      expect(manifest.version, path).toBe(version);
    }
  });

  it('would be found if it were different in one file', () => {
    expect(otherVersions('9.9.9')).toHaveLength(8);
  });

  it('is that of the first entry in the change log', () => {
    expect(/^## (\S+)$/m.exec(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'))?.[1]).toBe(version);
  });
});
