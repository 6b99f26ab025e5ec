import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A file of the page, as it is sent. */
export interface Asset {
  readonly type: string;
  readonly plain: Buffer;
  readonly gzip: Buffer | null;
  readonly brotli: Buffer | null;
  /** Its name has its content's hash in it: it never changes. */
  readonly isImmutable: boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

/** Where the built page is: in a clone, and beside the parts of a bundle. */
const PLACES = ['../dist', '../console'].map((place) => join(import.meta.dirname, place));

/** The files of the page by path (`/`, `/assets/…`), compressed when it was built; empty: it was not. */
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
