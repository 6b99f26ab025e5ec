import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROTO = join(import.meta.dirname, '../../proto');
const FILES = readdirSync(join(PROTO, 'spanmesh/v1')).map((name) => `spanmesh/v1/${name}`);

/**
 * Generates code for the API with protoc into a directory of its own.
 * @param options of each of protoc's outputs, by its name.
 * @param plugins paths of plugins that are not on PATH under the name that protoc looks for.
 * @returns the directory. @throws Error: protoc or a plugin is missing, or fails.
 */
export function generateStubs(options: Record<string, string>, plugins: Record<string, string> = {}): string {
  const directory = mkdtempSync(join(tmpdir(), 'spanmesh-stubs-'));
  const args = ['-I', PROTO];
  for (const [name, path] of Object.entries(plugins)) args.push(`--plugin=protoc-gen-${name}=${path}`);
  for (const [name, option] of Object.entries(options)) {
    args.push(`--${name}_out=${option === '' ? '' : `${option}:`}${directory}`);
  }
  execFileSync('protoc', [...args, ...FILES], { stdio: ['ignore', 'pipe', 'inherit'] });
  return directory;
}

/** The path of a program on PATH. */
export function which(program: string): string {
  return execFileSync('sh', ['-c', 'command -v "$0"', program], { encoding: 'utf8' }).trim();
}
