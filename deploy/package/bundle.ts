import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { buildPage } from '../../services/console/web/build.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Not in the bundle: the registry has it for each system. All else is in the bundle. */
const NATIVE = '@node-rs/crc32';

/** Packages that read files of their own, which are copied with the code, under `assets`. */
const READ_THEIR_FILES = ['grpc-health-check', '@grpc/grpc-js', '@grpc/reflection'] as const;

/** Code in a bundle has no directory of its own and no `require`. */
const BANNER = `import { createRequire as makeRequire } from 'node:module';
const require = makeRequire(import.meta.url);
const assets = import.meta.dirname + '/../assets';`;

/** The oldest Node that the bundle is made for. */
export const BUNDLE_NODE = '22';

/** The manifest of the whole project. */
export interface Manifest {
  readonly version: string;
  readonly description: string;
  readonly license: string;
}

export function readManifest(): Manifest {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
}

/** The version range of the native part that the project was tested with. */
export function nativeRange(): string {
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'libs/dmsg/package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  return dependencies[NATIVE]!;
}

/**
 * Writes all of spanmesh into an empty directory: `lib/spanmesh.mjs` and its parts with source maps, what they read
 * (`gen`, `assets`), the console's page (`console`), the contract (`proto`), and the licences of what is in it. Runs on
 * BUNDLE_NODE and newer; without `@node-rs/crc32` beside it, CRCs are computed in JavaScript.
 */
export async function bundle(directory: string): Promise<void> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: { spanmesh: 'deploy/package/entry.ts' },
    bundle: true,
    // A command loads what it needs: `spanmesh --help` does not wait for gRPC.
    splitting: true,
    // Node keeps the text of what it has loaded in memory, twice as large if it has one character beyond Latin-1, as
    // comments do. Names stay, and the source maps know the lines; licences are in THIRD-PARTY.md.
    minifyWhitespace: true,
    legalComments: 'none',
    format: 'esm',
    platform: 'node',
    target: `node${BUNDLE_NODE}`,
    outdir: join(directory, 'lib'),
    outExtension: { '.js': '.mjs' },
    // All in one directory, in which they find the files that they read.
    chunkNames: '[name]-[hash]',
    sourcemap: true,
    sourcesContent: false,
    metafile: true,
    external: [NATIVE],
    banner: { js: BANNER },
    plugins: [filesOfPackages()],
    logLevel: 'warning',
  });
  for (const name of READ_THEIR_FILES) {
    for (const files of ['proto', 'build/proto']) {
      const from = join(ROOT, 'node_modules', name, files);
      if (existsSync(from)) cpSync(from, join(directory, 'assets', name, files), { recursive: true });
    }
  }
  mkdirSync(join(directory, 'gen'));
  cpSync(join(ROOT, 'libs/proto/gen/spanmesh.binpb'), join(directory, 'gen/spanmesh.binpb'));
  cpSync(join(ROOT, 'proto/spanmesh'), join(directory, 'proto/spanmesh'), { recursive: true });
  cpSync(join(ROOT, 'LICENSE'), join(directory, 'LICENSE'));
  const page = await buildPage(join(directory, 'console'));
  writeFileSync(join(directory, 'THIRD-PARTY.md'), licences([...Object.keys(metafile.inputs), ...page]));
}

/** Replaces `__dirname` of a package that reads its own files by the place to which they were copied. */
function filesOfPackages(): Plugin {
  const filter = new RegExp(`/node_modules/(${READ_THEIR_FILES.join('|')})/build/src/.*\\.js$`);
  return {
    name: 'files of packages',
    setup({ onLoad }) {
      onLoad({ filter }, ({ path }) => {
        const code = readFileSync(path, 'utf8');
        if (!code.includes('__dirname')) return undefined;
        const inside = dirname(path).split('/node_modules/').at(-1)!;
        return { contents: code.replaceAll('__dirname', `(assets + ${JSON.stringify(`/${inside}`)})`), loader: 'js' };
      });
    },
  };
}

/** Names, versions and licence texts of the packages with code in the bundle. */
function licences(inputs: readonly string[]): string {
  const packages = new Set<string>();
  for (const input of inputs) {
    const [, path] = /(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input) ?? [];
    if (path !== undefined) packages.add(path);
  }
  const sections = [...packages].toSorted().map((path) => {
    const { name, version, license } = JSON.parse(readFileSync(join(ROOT, path, 'package.json'), 'utf8')) as {
      name: string;
      version: string;
      license?: string;
    };
    const file = readdirSync(join(ROOT, path)).find((one) => /^licen[cs]e/i.test(one));
    const text =
      file === undefined
        ? ''
        : `\n\n    ${readFileSync(join(ROOT, path, file), 'utf8')
            .trim()
            .replaceAll('\n', '\n    ')}`;
    return `## ${name} ${version}\n\n${license ?? 'see below'}${text}\n`;
  });
  return `# Code of others in this package\n\n${sections.join('\n')}`;
}
