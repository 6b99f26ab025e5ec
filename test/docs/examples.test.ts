import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const SPANMESH = join(root, 'services/ctl/bin/spanmesh.js');
/** Starting some processes on a slow machine, milliseconds. */
const PATIENCE_MS = 60_000;

/** A program that runs on, and what it has printed. */
class Program {
  output = '';
  readonly #child: ChildProcess;
  #look = (): void => {};

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.on('data', (chunk: Buffer) => {
        this.output += chunk.toString();
        this.#look();
      });
    }
  }

  /** Resolves with the match once it has printed that. Rejects if it ends before. */
  prints(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      this.#child.once('exit', () => reject(new Error(`ended without ${pattern}: ${this.output}`)));
      this.#look = () => {
        const found = pattern.exec(this.output);
        if (found !== null) resolve(found);
      };
      this.#look();
    });
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill(signal);
    await once(this.#child, 'exit');
  }
}

describe('docs/examples/watch.ts', () => {
  const programs: Program[] = [];

  afterEach(async () => {
    for (const program of programs.splice(0).reverse()) await program.end('SIGKILL');
  });

  function start(...args: string[]): Program {
    const program = new Program(args);
    programs.push(program);
    return program;
  }

  function standalone(grpc: string): Program {
    const anywhere = '127.0.0.1:0';
    const listens = ['--dmsg-listen', anywhere, '--http-listen', anywhere, '--grpc-listen', grpc, '--data-dir', ''];
    return start(SPANMESH, 'run', 'standalone', ...listens);
  }

  async function peers(dmsg: string): Promise<Program> {
    const sim = start(SPANMESH, 'sim', '--peers', '2', '--dialect', 'circuit', '--connect', dmsg);
    await sim.prints(/2 peers up/);
    return sim;
  }

  it(
    'follows nodes, over an end of the service, too',
    async () => {
      const first = standalone('127.0.0.1:0');
      const [, dmsg = ''] = await first.prints(/DMSG peers +(\S+)/);
      const [, grpc = ''] = await first.prints(/gRPC API +(\S+)/);
      const watch = start(join(root, 'docs/examples/watch.ts'), grpc);
      const sim = await peers(dmsg);
      await watch.prints(/\+ peer01(.|\n)*\+ peer02|\+ peer02(.|\n)*\+ peer01/);
      await sim.end('SIGTERM');
      await watch.prints(/- peer01(.|\n)*- peer02|- peer02(.|\n)*- peer01/);
      await first.end('SIGKILL');
      await watch.prints(/UNAVAILABLE/);
      watch.output = '';
      const second = standalone(grpc);
      const [, again = ''] = await second.prints(/DMSG peers +(\S+)/);
      await peers(again);
      await watch.prints(/\+ peer01(.|\n)*\+ peer02|\+ peer02(.|\n)*\+ peer01/);
      expect(watch.output).not.toMatch(/- peer/);
    },
    PATIENCE_MS,
  );
});
