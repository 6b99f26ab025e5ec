import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packages } from './packages.ts';

const all = packages(join(import.meta.dirname, '../..'));

/** What each package may import, low to high (docs/architecture.md, "The layers"). */
const LAYERS: Record<string, readonly string[]> = {
  '@spanmesh/dmsg': [],
  '@spanmesh/spantree': [],
  '@spanmesh/proto': [],
  '@spanmesh/runtime': ['@spanmesh/proto'],
  '@spanmesh/dmsg-socket': ['@spanmesh/dmsg', '@spanmesh/runtime'],
};
/**
 * Services do not import each other. Exceptions: these packages may import services, and any service may import the
 * console.
 */
const MAY_IMPORT_SERVICES = ['@spanmesh/standalone', '@spanmesh/ctl'];
const CONSOLE = '@spanmesh/console';

describe.each(all)('$path', ({ name, path, declared, imported }) => {
  it('declares exactly what it imports', () => {
    expect([...declared].sort()).toEqual([...imported].sort());
  });

  it('imports nothing of a higher layer', () => {
    const ours = [...imported].filter((dependency) => dependency.startsWith('@spanmesh/'));
    if (path.startsWith('libs/')) expect(LAYERS[name]).toEqual(expect.arrayContaining(ours));
    else if (!MAY_IMPORT_SERVICES.includes(name)) {
      expect(ours.filter((dependency) => !(dependency in LAYERS) && dependency !== CONSOLE)).toEqual([]);
    }
  });
});
