import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const SPANMESH = join(root, 'services/ctl/bin/spanmesh.js');

/** A running program, and what it has printed. */
export class Program {
  output = '';
  /**
   * Resolves when the program has ended and all its output has been read: with its exit code, or null after a signal.
   */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  #look = (): void => {};

  /** @param env added to the environment of this process. */
  constructor(command: string, args: readonly string[], env: Record<string, string> = {}) {
    this.#child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.ended = once(this.#child, 'close').then(([code]) => code as number | null);
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.on('data', (chunk: Buffer) => {
        this.output += chunk.toString();
        this.#look();
      });
    }
  }

  /** Resolves with the match once the program has printed it. Rejects if the program ends before. */
  prints(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      void this.ended.then(() => reject(new Error(`ended without ${pattern}: ${this.output}`)));
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

/** The addresses of a controller for peers and for users of the API. */
export interface ControllerAddresses {
  readonly dmsg: string;
  readonly grpc: string;
}

/** The programs of one test: call `endAll` after it. */
export class Programs {
  readonly #programs: Program[] = [];
  /** A command prefix for each program: that of a network of their own (OwnNetwork). */
  through: readonly string[] = [];

  start(command: string, args: readonly string[], env: Record<string, string> = {}): Program {
    const [first = command, ...rest] = [...this.through, command, ...args];
    const program = new Program(first, rest, env);
    this.#programs.push(program);
    return program;
  }

  /** Starts the `spanmesh` command of this checkout. */
  spanmesh(...args: string[]): Program {
    return this.start(process.execPath, [SPANMESH, ...args]);
  }

  /**
   * Starts a standalone whose API is at `grpc`. Resolves, once it runs, with the addresses for peers and for the API.
   * `env`: settings.
   */
  async standalone(
    grpc = '127.0.0.1:0',
    env: Record<string, string> = {},
  ): Promise<ControllerAddresses & { program: Program }> {
    const anywhere = '127.0.0.1:0';
    const listens = ['--dmsg-listen', anywhere, '--http-listen', anywhere, '--grpc-listen', grpc, '--data-dir', ''];
    const program = this.start(process.execPath, [SPANMESH, 'run', 'standalone', ...listens], env);
    const [, dmsg = '', api = ''] = await program.prints(/"dmsg":\["([^"]+)".*"grpc":"([^"]+)"/);
    return { program, dmsg, grpc: api };
  }

  /** Starts two simulated peers and waits until they are connected. */
  async twoPeers(dmsg: string): Promise<Program> {
    const sim = this.spanmesh('sim', '--peers', '2', '--dialect', 'circuit', '--connect', dmsg);
    await sim.prints(/2 peers up/);
    return sim;
  }

  async endAll(): Promise<void> {
    for (const program of this.#programs.splice(0).reverse()) await program.end('SIGKILL');
  }
}
