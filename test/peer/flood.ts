import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { FloodCount, FloodKind } from './flood-generator.ts';

const GENERATOR = fileURLToPath(new URL('./flood-generator.ts', import.meta.url));

export interface FloodOptions {
  readonly port: number;
  /** Attempts a second. */
  readonly rate: number;
  /** The kinds of connections to make, one after the other, each with its number of seconds. */
  readonly phases: readonly (readonly [FloodKind, number])[];
}

/** Floods a port with connections from 127.0.0.1, made by a process of its own. */
export class Flood {
  /** Resolves when the flood has begun. */
  readonly begun: Promise<void>;
  /** Resolves at the end with the counts of each phase. */
  readonly over: Promise<FloodCount[]>;
  readonly #child: ChildProcess;

  constructor({ port, rate, phases }: FloodOptions) {
    const args = [port, rate, ...phases.map(([kind, seconds]) => `${kind}=${seconds}`)].map(String);
    const child = spawn(process.execPath, [GENERATOR, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    // A real flood would come from another machine: this process must leave the CPU to the gateways that are measured,
    // and to other tests.
    setPriority(child.pid!, constants.priority.PRIORITY_BELOW_NORMAL);
    let output = '';
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (chunk) => {
        output += chunk;
      });
    }
    const exited = once(child, 'close');
    this.begun = Promise.race([once(child.stdout!, 'data'), exited]).then(() => {});
    this.over = exited.then(([code]) => {
      if (code !== 0) throw new Error(`the generator of the flood has failed: ${output}`);
      return JSON.parse(output.slice(output.indexOf('['))) as FloodCount[];
    });
    // The error is thrown where `over` is awaited; before that it must not count as unhandled.
    this.over.catch(() => {});
  }

  stop(): void {
    this.#child.kill();
  }
}
