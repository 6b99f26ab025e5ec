import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * A network with nothing but a loopback, for programs that listen on ports which another spanmesh on this machine may have. Where none can
 * be had (it takes root, and Linux), programs share the machine's.
 */
export class OwnNetwork {
  /** What a command is run through: put it before the command. */
  readonly through: readonly string[];
  readonly #holder: ChildProcess | null;

  private constructor(holder: ChildProcess | null) {
    this.#holder = holder;
    this.through = holder === null ? [] : ['nsenter', '--net', '--target', String(holder.pid)];
  }

  static async start(): Promise<OwnNetwork> {
    // It ends with its standard input: with this process, however that goes.
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
