import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';

/** A workspace and the packages that its sources import. */
export interface Package {
  /** The path of its folder: `libs/dmsg`. */
  readonly path: string;
  readonly name: string;
  /** Dependencies that its package.json declares. */
  readonly declared: ReadonlySet<string>;
  /** Packages that its sources import, except by tests. */
  readonly imported: ReadonlySet<string>;
}

/**
 * Matches static imports and re-exports, dynamic imports, and resolved specifiers. Relative ones begin with a dot, and
 * do not match.
 */
const IMPORT =
  /(?:^(?:import|export)\b[^;]*?\bfrom |^import |\bimport\(|\bimport\.meta\.resolve\()['"]([^'".][^'"]*)['"]/gm;
/** Files that are not part of production: tests, fixtures, and the suites that every implementation must pass. */
const TESTING = /\.(test|fixture)\.ts$|-contract\.ts$/;

/**
 * Folders with other code: packages of others, the console's page (a package of its own, for browsers), and its built
 * files.
 */
const ELSEWHERE = /^(node_modules|web|dist)\//;

/** All workspaces in libs/ and services/. */
export function packages(root: string): Package[] {
  return ['libs', 'services'].flatMap((layer) =>
    readdirSync(join(root, layer))
      .filter((name) => existsSync(join(root, layer, name, 'package.json')))
      .sort()
      .map((name) => readPackage(root, `${layer}/${name}`)),
  );
}

function readPackage(root: string, path: string): Package {
  const manifest = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) as {
    name: string;
    dependencies?: Record<string, string>;
  };
  const imported = new Set<string>();
  for (const file of readdirSync(join(root, path), { recursive: true, encoding: 'utf8' })) {
    if (!/\.(ts|js)$/.test(file) || TESTING.test(file) || ELSEWHERE.test(file)) continue;
    const source = readFileSync(join(root, path, file), 'utf8');
    for (const [, specifier] of source.matchAll(IMPORT)) {
      if (isBuiltin(specifier!)) continue;
      imported.add(specifier!.split('/', specifier!.startsWith('@') ? 2 : 1).join('/'));
    }
  }
  imported.delete(manifest.name);
  return { path, name: manifest.name, declared: new Set(Object.keys(manifest.dependencies ?? {})), imported };
}
