import type { NatsServerProcess } from '@spanmesh/runtime/bus/nats/nats-server.fixture';
import type { ServiceProcess } from '../peer/installation.ts';
import type { NatsInstallation } from '../peer/nats-installation.ts';
import { processesOf, type SoakSizes } from './plan.ts';

/** A process that has not ended this long after SIGTERM counts as hanging, ms. */
const STOP_MS = 20_000;

/** The processes of a soak, by their hosts, the faults of the processes themselves, and what they have logged. */
export class SoakProcesses {
  readonly #installation: NatsInstallation;
  readonly #sizes: SoakSizes;
  /** All processes that have run since the last look, including those that were replaced. */
  readonly #ran = new Set<ServiceProcess>();
  readonly #all: { readonly host: string; readonly process: ServiceProcess }[] = [];
  readonly #wrong: string[] = [];
  /** Processes that are down at present because of a fault. */
  readonly #down = new Set<string>();
  /** Processes that have a fault at present. */
  readonly #struck = new Set<string>();

  constructor(installation: NatsInstallation, sizes: SoakSizes) {
    this.#installation = installation;
    this.#sizes = sizes;
    for (const host of processesOf(sizes)) this.#note(host);
  }

  /**
   * Kills, stops or pauses a process, unless it has a fault already: `kill-leader` chooses its server only now, and
   * that may be one.
   */
  async strike(host: string, how: 'kill' | 'stop' | 'pause', forMs: number): Promise<void> {
    if (this.#struck.has(host)) return;
    this.#struck.add(host);
    if (how === 'pause') {
      this.#signal(host, 'SIGSTOP');
      await sleep(forMs);
      this.#signal(host, 'SIGCONT');
    } else {
      this.#down.add(host);
      await this.#end(host, how === 'kill' ? 'SIGKILL' : 'SIGTERM');
      await sleep(forMs);
      await this.#start(host);
      this.#down.delete(host);
    }
    this.#struck.delete(host);
  }

  /** What is wrong with the processes, since the last look: every line logged as an error is a violation. */
  faults(): string[] {
    for (const process of this.#ran) {
      const errors = process.output.split('\n').filter((line) => /"level":"(error|fatal)"/.test(line));
      this.#wrong.push(...errors);
      if (process.child.exitCode !== null || process.child.signalCode !== null) this.#ran.delete(process);
    }
    return this.#wrong.splice(0);
  }

  /** All lines that the processes have written, in order of time. */
  logs(): string {
    const lines = [...this.#all].flatMap(({ host, process }) =>
      process.output.split('\n').flatMap((line) => (line === '' ? [] : [`${host} ${line}`])),
    );
    const at = (line: string) => /"time":"([^"]*)"/.exec(line)?.[1] ?? '';
    return lines.toSorted((a, b) => at(a).localeCompare(at(b))).join('\n');
  }

  async #end(host: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (isNats(host)) {
      await this.#nats(host).stop(signal);
      return;
    }
    const process = this.of(host);
    const timer = setTimeout(() => {
      this.#wrong.push(`${host} does not stop on SIGTERM: ${process.output.slice(-2000)}`);
      process.child.kill('SIGKILL');
    }, STOP_MS);
    const code = await process.stop(signal);
    clearTimeout(timer);
    if (signal === 'SIGTERM' && code !== 0) this.#wrong.push(`${host} stops with exit code ${code}`);
  }

  async #start(host: string): Promise<void> {
    const installation = this.#installation;
    const index = indexOf(host);
    // One server of a cluster does not become ready before another one runs.
    if (isNats(host)) await this.#nats(host).startAgain({ wait: this.#sizes.nats === 1 });
    else if (host.startsWith('gateway')) installation.gatewayAgain(index);
    else {
      const all = host.startsWith('topology') ? installation.topologies : installation.volconfs;
      all[index] = all[index]!.again();
    }
    this.#note(host);
  }

  #signal(host: string, signal: NodeJS.Signals): void {
    if (isNats(host)) this.#nats(host).signal(signal);
    else this.of(host).child.kill(signal);
  }

  #nats(host: string): NatsServerProcess {
    return this.#installation.natsServers[indexOf(host)]!;
  }

  /** The process of a service at this host. */
  of(host: string): ServiceProcess {
    const { gateways, topologies, volconfs } = this.#installation;
    const index = indexOf(host);
    const all = host.startsWith('gateway') ? gateways : host.startsWith('topology') ? topologies : volconfs;
    return all[index]!;
  }

  /** Registers a process: if it ends although no fault has stopped it, that is a finding. */
  #note(host: string): void {
    if (isNats(host)) return;
    const process = this.of(host);
    this.#ran.add(process);
    this.#all.push({ host, process });
    process.child.once('exit', (code, signal) => {
      if (!this.#down.has(host)) this.#wrong.push(`${host} has ended by itself: ${code ?? signal}\n${process.output}`);
    });
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export function isNats(host: string): boolean {
  return host.startsWith('nats-');
}

/** Index of a host's process, from 0. */
export function indexOf(host: string): number {
  return Number(host.slice(host.lastIndexOf('-') + 1)) - 1;
}
