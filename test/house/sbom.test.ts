import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packages } from './packages.ts';

const root = join(import.meta.dirname, '../..');

interface Component {
  readonly name: string;
  readonly group?: string;
  readonly version: string;
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

describe('npm run sbom', () => {
  // `npm sbom --omit dev` would leave out a package that something for development needs, too.
  it('names all packages of production, and does not mark them as development', () => {
    const text = execFileSync('npm', ['run', '--silent', 'sbom'], { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 });
    const { bomFormat, components } = JSON.parse(text) as { bomFormat: string; components: readonly Component[] };
    expect(bomFormat).toBe('CycloneDX');
    const running = components
      .filter(({ properties = [] }) => !properties.some(({ name }) => name === 'cdx:npm:package:development'))
      .map(({ name }) => name);
    const declared = packages(root).flatMap((one) =>
      [...one.declared].filter((name) => !name.startsWith('@spanmesh/')),
    );
    expect(declared).toContain('@grpc/grpc-js');
    expect(declared.filter((name) => !running.includes(name))).toEqual([]);
  });
});
