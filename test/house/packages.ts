import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';

/** A workspace and what its sources import. */
export interface Package {
  /** `libs/dmsg` */
  readonly path: string;
  readonly name: string;
  /** Dependencies that its package.json declares. */
  readonly declared: ReadonlySet<string>;
  /** Packages that its sources import, tests left out. */
  readonly imported: ReadonlySet<string>;
}

/** Static imports and re-exports, dynamic imports, resolved specifiers. Relative ones begin with a dot. */
const IMPORT =
  /(?:^(?:import|export)\b[^;]*?\bfrom |^import |\bimport\(|\bimport\.meta\.resolve\()['"]([^'".][^'"]*)['"]/gm;
/** Not part of what runs in production: tests, what they share, and the suites that every implementation is run through. */
const TESTING = /\.(test|fixture)\.ts$|-contract\.ts$/;

/** Packages of others, the console's page (a package of its own, for browsers), and what it is built to. */
const ELSEWHERE = /^(node_modules|web|dist)\//;

/** Every workspace below libs/ and services/. */
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
