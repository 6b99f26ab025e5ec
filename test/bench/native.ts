import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SOURCES = fileURLToPath(new URL('./native/', import.meta.url));

const PROGRAMS = ['load', 'converge', 'floor'] as const;

/** The compiled C programs. */
export interface Native {
  readonly directory: string;
  readonly load: string;
  readonly converge: string;
  readonly floor: string;
}

/** Compiles them, in a directory that the caller removes; null: there is no C compiler, or it fails. */
export async function buildNative(): Promise<Native | null> {
  const directory = await mkdtemp(join(tmpdir(), 'spanmesh-bench-'));
  const flags = ['-O2', '-pthread', ...(process.arch === 'x64' ? ['-msse4.2'] : [])];
  const [load, converge, floor] = [join(directory, 'load'), join(directory, 'converge'), join(directory, 'floor')];
  const native = { directory, load, converge, floor };
  const cc = process.env.CC || 'cc';
  try {
    for (const name of PROGRAMS) {
      await promisify(execFile)(cc, [...flags, '-o', native[name], join(SOURCES, `${name}.c`)]);
    }
  } catch (error) {
    await removeNative(native);
    console.log(
      `No floor, and generators that take more of the machine: ${cc} cannot build test/bench/native (${why(error)}).`,
    );
    return null;
  }
  return native;
}

export async function removeNative({ directory }: Native): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}

/** Starts the floor. */
export async function startFloor({ floor }: Native): Promise<{ port: number; stop: () => void }> {
  const child = spawn(floor, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line]: string[] = await once(createInterface(child.stdout), 'line');
  return { port: Number(line), stop: () => child.kill() };
}

function why(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
}
