import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readManifest } from '../../deploy/package/bundle.ts';
import { otherVersions } from '../../deploy/package/version.ts';
import { packages } from './packages.ts';

const root = join(import.meta.dirname, '../..');
const { version } = readManifest();

describe('the version', () => {
  it('is the same wherever it stands', () => {
    expect(otherVersions(version)).toEqual([]);
    for (const { path } of packages(root)) {
      const manifest = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) as { version: string };
      expect(manifest.version, path).toBe(version);
    }
  });

  it('would be missed where it is another one', () => {
    expect(otherVersions('9.9.9')).toHaveLength(8);
  });

  it('is the one that the changes begin with', () => {
    expect(/^## (\S+)$/m.exec(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'))?.[1]).toBe(version);
  });
});
