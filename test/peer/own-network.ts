import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * A network namespace with only a loopback, for programs with fixed ports, which another spanmesh on this machine may
 * use. Where none can be made (it takes root, and Linux), programs use the machine's network.
 */
export class OwnNetwork {
  /** A command prefix that runs the command in the namespace. */
  readonly through: readonly string[];
  readonly #holder: ChildProcess | null;

  private constructor(holder: ChildProcess | null) {
    this.#holder = holder;
    this.through = holder === null ? [] : ['nsenter', '--net', '--target', String(holder.pid)];
  }

  static async start(): Promise<OwnNetwork> {
    // The process that holds the namespace ends when its standard input does: with this process, however that ends.
    const holder = spawn('unshare', ['--net', 'bash', '-c', 'ip link set lo up && echo up && exec cat'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const isUp = await new Promise<boolean>((resolve) => {
      holder.stdout.once('data', () => resolve(true));
      holder.once('error', () => resolve(false)).once('exit', () => resolve(false));
    });
    return new OwnNetwork(isUp ? holder : null);
  }

  async stop(): Promise<void> {
    if (this.#holder === null || this.#holder.exitCode !== null) return;
    this.#holder.kill();
    await once(this.#holder, 'exit');
  }
}
