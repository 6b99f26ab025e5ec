import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A file of the page. */
export interface Asset {
  readonly type: string;
  readonly plain: Buffer;
  readonly gzip: Buffer | null;
  readonly brotli: Buffer | null;
  /** Its name contains a hash of its content, so the content for this name never changes. */
  readonly isImmutable: boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

/** Where the built page may be: in a clone, or beside the parts of a bundle. */
const PLACES = ['../dist', '../console'].map((place) => join(import.meta.dirname, place));

/**
 * The files of the page by path (`/`, `/assets/…`), with the compressed copies from the build; empty: the page was not
 * built.
 */
export function readAssets(places: readonly string[] = PLACES): ReadonlyMap<string, Asset> {
  const directory = places.find((place) => existsSync(join(place, 'index.html')));
  const assets = new Map<string, Asset>();
  if (directory === undefined) return assets;
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const type = TYPES[name.split('.').at(-1) ?? ''];
    if (type === undefined) continue;
    const read = (suffix: string) => {
      const file = join(directory, `${name}${suffix}`);
      return existsSync(file) ? readFileSync(file) : null;
    };
    const asset: Asset = {
      type,
      plain: readFileSync(join(directory, name)),
      gzip: read('.gz'),
      brotli: read('.br'),
      isImmutable: name.startsWith('assets'),
    };
    assets.set(name === 'index.html' ? '/' : `/${name.replaceAll('\\', '/')}`, asset);
  }
  return assets;
}
