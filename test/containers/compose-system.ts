import { join } from 'node:path';
import { env } from 'node:process';
import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { DockerComposeEnvironment } from 'testcontainers';

import { scrape } from '../peer/scrape.ts';
import { type Container, containersOf, docker } from './docker.ts';
import { findCompose } from './engine.ts';

const ROOT = join(import.meta.dirname, '../..');
/**
 * Only one system can exist at a time, as its network has fixed addresses. The next run removes what a killed run has
 * left.
 */
const PROJECT = 'spanmesh-containers-test';
const IMAGE = 'spanmesh:containers-test';
/** Port of the HTTP server of each service, in its container. */
const HTTP_PORT = 8080;

/** A line of a service's log. */
export interface LogLine {
  readonly container: string;
  readonly level: string;
  /** Time of the line, in ms since 1970. */
  readonly time: number;
  readonly text: string;
}

/** The system of docker-compose.yml, started as a user starts it, but on other ports of the loopback. */
export class ComposeSystem {
  /** The published ports: DMSG, and the gRPC APIs of topology, of a gateway and of volconf. */
  readonly ports: Readonly<Record<'dmsg' | 'topology' | 'gateway' | 'volconf', number>>;
  readonly #environment: DockerComposeEnvironment;
  readonly #options: string[] = [];

  private constructor(ports: ComposeSystem['ports'], environment: DockerComposeEnvironment, options: string[]) {
    this.ports = ports;
    this.#environment = environment;
    this.#options = options;
  }

  /**
   * Builds the image, unless SPANMESH_IMAGE names one, and starts all services. Resolves when all of them are healthy.
   */
  static async start(gateways: number): Promise<ComposeSystem> {
    const compose = findCompose();
    const image = env.SPANMESH_IMAGE ?? IMAGE;
    if (env.SPANMESH_IMAGE === undefined) await buildImage(image);
    await removeLeftovers();
    const ports = {
      dmsg: await freePort(),
      topology: await freePort(),
      gateway: await freePort(),
      volconf: await freePort(),
    };
    // Nothing of ours must be pulled. testcontainers' reaper is not needed: `stop`, or the next start, removes
    // everything.
    env.TESTCONTAINERS_RYUK_DISABLED = 'true';
    const options: string[] = [];
    const environment = new DockerComposeEnvironment(ROOT, 'docker-compose.yml')
      .withProjectName(PROJECT)
      .withClientOptions({ commandOptions: options, ...(compose.standalone && { executable: { standalone: true } }) })
      .withEnvironment({
        SPANMESH_IMAGE: image,
        ...(env.NATS_IMAGE !== undefined && { NATS_IMAGE: env.NATS_IMAGE }),
        SPANMESH_PEERS: './deploy/compose/peers-plaintext',
        SPANMESH_PUBLISH: `127.0.0.1:${ports.dmsg}`,
        SPANMESH_PUBLISH_TOPOLOGY: `127.0.0.1:${ports.topology}`,
        SPANMESH_PUBLISH_GATEWAY: `127.0.0.1:${ports.gateway}`,
        SPANMESH_PUBLISH_VOLCONF: `127.0.0.1:${ports.volconf}`,
      });
    const system = new ComposeSystem(ports, environment, options);
    try {
      await system.scale(gateways);
    } catch (error) {
      await system.printLogs();
      await system.stop();
      throw error;
    }
    return system;
  }

  /** Runs `up --scale gateway=N`. Resolves when all services are healthy. */
  async scale(gateways: number): Promise<void> {
    this.#options.splice(0, Infinity, '--no-recreate', '--scale', `gateway=${gateways}`);
    await this.#environment.up();
  }

  containers(service?: string): Promise<Container[]> {
    return containersOf(PROJECT, service);
  }

  async running(service?: string): Promise<Container[]> {
    return (await this.containers(service)).filter(({ isRunning }) => isRunning);
  }

  /** The metrics of a service's process. */
  scrape(container: Container): Promise<Map<string, number>> {
    return scrape(HTTP_PORT, container.address);
  }

  /**
   * Disconnects a container from its network. The returned function connects it again, with the address and names that
   * it had.
   */
  async cutOff({ id, address, aliases }: Container): Promise<() => Promise<void>> {
    const network = `${PROJECT}_default`;
    await docker('network', 'disconnect', network, id);
    return async () => {
      const names = aliases.flatMap((alias) => ['--alias', alias]);
      await docker('network', 'connect', ...names, '--ip', address, network, id);
    };
  }

  /**
   * The lines that the services have logged since then (ms since 1970). NATS's log is left out: its format is
   * different.
   */
  async log(since = 0): Promise<LogLine[]> {
    const lines: LogLine[] = [];
    for (const { id, name, service } of await this.containers()) {
      if (service === 'nats') continue;
      for (const text of (await docker('logs', id)).split('\n')) {
        if (!text.startsWith('{')) continue;
        const { level, time } = JSON.parse(text) as { level: string; time: string };
        lines.push({ container: name, level, time: Date.parse(time), text });
      }
    }
    return lines.filter(({ time }) => time >= since);
  }

  /** Prints all logs, for a person who examines a failure. */
  async printLogs(): Promise<void> {
    for (const { id, name, health, isRunning, exitCode } of await this.containers()) {
      const state = isRunning ? `runs, ${health ?? 'no health check'}` : `exit code ${exitCode}`;
      process.stdout.write(`──── ${name}: ${state}\n${await docker('logs', '--tail', '60', id)}\n`);
    }
  }

  /** Removes the containers, the network and the volumes. */
  async stop(): Promise<void> {
    await removeLeftovers();
  }
}

async function buildImage(image: string): Promise<void> {
  // DOCKER_BUILD_NETWORK=host is for machines where containers cannot reach other networks by themselves.
  const network = env.DOCKER_BUILD_NETWORK ?? 'default';
  await docker('build', '-q', '--network', network, '-f', join(ROOT, 'deploy/docker/Dockerfile'), '-t', image, ROOT);
}

/** Removes what is left of the project. Compose is not used, so that this works for incomplete systems, too. */
async function removeLeftovers(): Promise<void> {
  const containers = await containersOf(PROJECT);
  for (const { id } of containers) await docker('rm', '-f', '-v', id);
  const label = `label=com.docker.compose.project=${PROJECT}`;
  for (const kind of ['network', 'volume']) {
    const listed = (await docker(kind, 'ls', '-q', '--filter', label)).split('\n').filter((name) => name !== '');
    if (listed.length > 0) await docker(kind, 'rm', ...listed);
  }
}
