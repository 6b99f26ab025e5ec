import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.ts';

const ROOT = join(import.meta.dirname, '../..');

/**
 * The bundle as it is installed where npm is not: with the native CRC of this system beside it, and a command that
 * names its interpreter. `interpreter`: path of Node where it will run.
 */
export async function unpacked(directory: string, interpreter: string): Promise<void> {
  await bundle(directory);
  mkdirSync(join(directory, 'node_modules'));
  cpSync(join(ROOT, 'node_modules/@node-rs'), join(directory, 'node_modules/@node-rs'), {
    recursive: true,
    dereference: true,
  });
  const command = join(directory, 'lib/spanmesh.mjs');
  writeFileSync(command, readFileSync(command, 'utf8').replace(/^#!.*/, `#!${interpreter}`));
  chmodSync(command, 0o755);
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }\n');
}

if (import.meta.main) {
  const [directory, interpreter] = process.argv.slice(2);
  if (directory === undefined || interpreter === undefined) throw new Error('usage: unpacked.ts DIRECTORY INTERPRETER');
  await unpacked(directory, interpreter);
}
