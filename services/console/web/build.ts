import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'vite';

/** Where a clone's console looks for its page. */
const DIST = join(import.meta.dirname, '../dist');

/**
 * Builds the page into a directory, with a compressed copy of each file beside it.
 * @returns the paths of the modules in it
 */
export async function buildPage(directory: string): Promise<string[]> {
  rmSync(directory, { recursive: true, force: true });
  const built = await build({
    root: import.meta.dirname,
    configFile: false,
    logLevel: 'warn',
    // Addresses within the page are relative, wherever it is served.
    base: './',
    resolve: {
      alias: [{ find: /^@spanmesh\/proto\/v1\//, replacement: join(import.meta.dirname, 'gen/spanmesh/v1/') }],
    },
    build: {
      outDir: directory,
      emptyOutDir: true,
      target: 'es2022',
      modulePreload: { polyfill: false },
      assetsInlineLimit: 0,
    },
  });
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(html|js|css|svg)$/.test(name)) continue;
    const file = join(directory, name);
    const content = readFileSync(file);
    writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
    writeFileSync(`${file}.br`, brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
  }
  const outputs = (Array.isArray(built) ? built : [built]).flatMap((one) => ('output' in one ? one.output : []));
  return outputs.flatMap((output) => (output.type === 'chunk' ? output.moduleIds : []));
}

if (import.meta.main) await buildPage(DIST);
