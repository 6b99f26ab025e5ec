import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { emptied } from './scrape.ts';
import { START_OPTIONS } from './start-options.ts';
import type { Dialect } from './wire.ts';

const LAUNCHER = fileURLToPath(new URL('../../services/ctl/bin/spanmesh.js', import.meta.url));
/** Milliseconds that a process may take to become ready: many may start at once and share the cores. */
const START_PATIENCE_MS = 120_000;
/** Milliseconds between two looks at whether a process is ready. */
const LOOK_MS = 20;

export type Ports = Record<'grpc' | 'service' | 'http', number>;

/** How a process is started, apart from its settings. */
export interface Surroundings {
  /** Where its standard output goes: to `output`, or to a file descriptor of this process. */
  readonly stdout?: 'pipe' | number;
  /** Most files that the process may have open. */
  readonly openFiles?: number;
  /** The checkout whose program is run; default: this one. */
  readonly tree?: string;
}

/** A service in a process of its own, on free ports of loopback. */
export class ServiceProcess {
  readonly ports: Ports;
  readonly child: ChildProcess;
  readonly service: string;
  readonly #env: Record<string, string>;
  readonly #surroundings: Surroundings;
  /** Resolves when the process has ended and all its output has been read. */
  readonly #closed: Promise<unknown>;
  /** Everything that the process has written to standard error and standard output. */
  output = '';

  private constructor(service: string, ports: Ports, env: Record<string, string>, surroundings: Surroundings) {
    this.ports = ports;
    this.service = service;
    this.#env = env;
    this.#surroundings = surroundings;
    const { stdout = 'pipe', openFiles, tree } = surroundings;
    const launcher = tree === undefined ? LAUNCHER : join(tree, 'services/ctl/bin/spanmesh.js');
    const program = [process.execPath, ...START_OPTIONS, launcher, 'run', service] as const;
    const [command, ...args] = [...limited(openFiles), ...program] as const;
    this.child = spawn(command, args, {
      env: {
        ...process.env,
        SPANMESH_GRPC_LISTEN: `127.0.0.1:${ports.grpc}`,
        SPANMESH_SERVICE_LISTEN: `127.0.0.1:${ports.service}`,
        SPANMESH_HTTP_LISTEN: `127.0.0.1:${ports.http}`,
        SPANMESH_LOG_LEVEL: 'warn',
        ...env,
      },
      stdio: ['ignore', stdout, 'pipe'],
    });
    this.#closed = once(this.child, 'close');
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk) => {
        this.output += chunk;
      });
    }
  }

  static async start(
    service: string,
    env: Record<string, string>,
    surroundings: Surroundings = {},
  ): Promise<ServiceProcess> {
    return new ServiceProcess(service, await freePorts(), env, surroundings);
  }

  /** Starts the service on these ports. */
  static on(ports: Ports, service: string, env: Record<string, string>): ServiceProcess {
    return new ServiceProcess(service, ports, env, {});
  }

  /** Starts the same service again, on the same ports. Call it once this process has stopped. */
  again(): ServiceProcess {
    return new ServiceProcess(this.service, this.ports, this.#env, this.#surroundings);
  }

  /** Waits until the process reports that it is ready. */
  async ready(): Promise<void> {
    const giveUp = performance.now() + START_PATIENCE_MS;
    for (;;) {
      if (this.child.exitCode !== null || performance.now() > giveUp) {
        if (this.child.exitCode !== null) await this.#closed;
        throw new Error(`a service does not get ready (exit code ${this.child.exitCode}): ${this.output}`);
      }
      const answer = await fetch(`http://127.0.0.1:${this.ports.http}/readyz`).catch(() => null);
      if (answer?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** Stops the process and returns its exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill(signal);
    }
    await this.#closed;
    return this.child.exitCode;
  }
}

/** The processes that still run, as `emptied` takes them. */
export function living(processes: readonly ServiceProcess[]): { readonly http: number; readonly name: string }[] {
  return processes
    .filter(({ child }) => child.exitCode === null && child.signalCode === null)
    .map(({ ports, service }) => ({ http: ports.http, name: `${service} at ${ports.http}` }));
}

/** A command prefix that limits the number of open files. */
function limited(openFiles: number | undefined): string[] {
  return openFiles === undefined ? [] : ['sh', '-c', `ulimit -n ${openFiles} && exec "$@"`, 'sh'];
}

/** A gateway's process, with the ports of its listeners for peers. */
export interface GatewayProcess extends ServiceProcess {
  readonly dmsg: Record<Dialect, number>;
}

/** A topology and gateways, each in a process of its own. */
export class Installation {
  readonly topology: ServiceProcess;
  readonly #gateways: GatewayProcess[];

  private constructor(topology: ServiceProcess, gateways: GatewayProcess[]) {
    this.topology = topology;
    this.#gateways = gateways;
  }

  get gateways(): readonly GatewayProcess[] {
    return this.#gateways;
  }

  /** `ofEach`: additional settings of each process, by its name (`topology`, `gateway-1` and so on). */
  static async start(
    gateways: number,
    env: Record<string, string> = {},
    ofEach: (name: string) => Record<string, string> = () => ({}),
  ): Promise<Installation> {
    const topology = await ServiceProcess.start('topology', { ...env, ...ofEach('topology') });
    const started = await Promise.all(
      Array.from({ length: gateways }, (_, i) => `gateway-${i + 1}`).map((name) =>
        startGateway(name, topology, { ...env, ...ofEach(name) }),
      ),
    );
    const installation = new Installation(topology, started);
    try {
      await Promise.all([topology, ...started].map((one) => one.ready()));
    } catch (error) {
      await installation.stop();
      throw error;
    }
    return installation;
  }

  /** Starts a stopped gateway again, on the same ports. */
  async again(gateway: number): Promise<void> {
    const { dmsg } = this.#gateways[gateway]!;
    this.#gateways[gateway] = Object.assign(this.#gateways[gateway]!.again(), { dmsg });
    await this.#gateways[gateway].ready();
  }

  /** Waits until no process holds anything of peers and clients that have gone. */
  emptied(): Promise<void> {
    return emptied(living([...this.gateways, this.topology]));
  }

  async stop(): Promise<void> {
    await Promise.all(this.gateways.map((gateway) => gateway.stop()));
    await this.topology.stop();
  }
}

async function startGateway(
  name: string,
  topology: ServiceProcess,
  env: Record<string, string>,
): Promise<GatewayProcess> {
  const dmsg = { linkid: await freePort(), circuit: await freePort() };
  const gateway = await ServiceProcess.start('link-gateway', {
    SPANMESH_GATEWAY_NAME: name,
    SPANMESH_TOPOLOGY_ADDRESS: `127.0.0.1:${topology.ports.service}`,
    SPANMESH_DMSG_LISTEN: `linkid://127.0.0.1:${dmsg.linkid},circuit://127.0.0.1:${dmsg.circuit}`,
    SPANMESH_TRUNK_LISTEN: '127.0.0.1:0',
    ...env,
  });
  return Object.assign(gateway, { dmsg });
}

/** Free ports for the listeners of a service. */
export async function freePorts(): Promise<Ports> {
  return { grpc: await freePort(), service: await freePort(), http: await freePort() };
}
