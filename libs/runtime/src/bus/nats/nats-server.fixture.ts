import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { freePort } from '../../free-port.fixture.ts';
import { installationSetting } from '../../settings/installation-setting.ts';
import { readSettings } from '../../settings/setting.ts';
import type { NatsBusOptions } from './nats-bus.ts';
import { natsProgram } from './nats-program.fixture.ts';
import { natsSettings } from './nats-settings.ts';

/** A server that does not listen after this time has failed, ms. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 20;

/** A real nats-server with JetStream, on a free loopback port, its store in a directory of its own. */
export class NatsServerProcess {
  readonly port: number;
  readonly directory: string;
  #config: string;
  #child: ChildProcess | null = null;
  #log = '';

  private constructor(port: number, directory: string, config: string) {
    this.port = port;
    this.directory = directory;
    this.#config = config;
  }

  /** `config`: further lines of nats-server's configuration. `wait`: until it listens. */
  static async start({
    config = '',
    wait = true,
  }: {
    config?: string;
    wait?: boolean;
  } = {}): Promise<NatsServerProcess> {
    const server = await NatsServerProcess.stopped(config);
    await server.startAgain({ wait });
    return server;
  }

  /** A server that has not been started yet. */
  static async stopped(config = ''): Promise<NatsServerProcess> {
    const directory = mkdtempSync(join(tmpdir(), 'spanmesh-nats-'));
    return new NatsServerProcess(await freePort(), directory, config);
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Process id of nats-server, or of the program that runs it; undefined while it is stopped. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it again on the same port, with its store. */
  async startAgain({ wait = true }: { wait?: boolean } = {}): Promise<void> {
    const { directory } = this;
    const file = this.#writeConfig();
    const { command, before } = natsProgram();
    const child = spawn(command, [...before(directory), '--config', file], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        this.#log = (this.#log + chunk).slice(-4000);
      });
    }
    this.#child = child;
    if (wait) await this.#listens();
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  /** Stops it and removes its store. */
  async remove(): Promise<void> {
    await this.stop('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Removes its store; call it only while the server is stopped. */
  wipe(): void {
    rmSync(join(this.directory, 'store'), { recursive: true, force: true });
  }

  /** Gives it another configuration, for its next start. */
  configure(config: string): void {
    this.#config = config;
  }

  /** Gives it another configuration while it runs. */
  reload(config: string): void {
    this.#config = config;
    this.#writeConfig();
    this.signal('SIGHUP');
  }

  #writeConfig(): string {
    const file = join(this.directory, 'nats.conf');
    const own = `listen: "127.0.0.1:${this.port}"\njetstream { store_dir: "${this.directory}/store" }\n`;
    writeFileSync(file, `${own}${this.#config}`);
    return file;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async #listens(): Promise<void> {
    const giveUp = performance.now() + PATIENCE_MS;
    while (!(await answers(this.port))) {
      if (this.#child?.exitCode != null || performance.now() > giveUp) {
        throw new Error(`nats-server does not listen: ${this.#log}`);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}

/** Three servers that are one JetStream. */
export async function startNatsCluster(): Promise<NatsServerProcess[]> {
  const three = await stoppedNatsCluster();
  await Promise.all(three.map((server) => server.startAgain()));
  return three;
}

/** Three servers that will be one JetStream once they are started. */
export async function stoppedNatsCluster(): Promise<NatsServerProcess[]> {
  const routes = [await freePort(), await freePort(), await freePort()];
  const all = routes.map((port) => `"nats://127.0.0.1:${port}"`).join(', ');
  return Promise.all(
    routes.map((port, i) =>
      NatsServerProcess.stopped(
        `server_name: n${i + 1}\ncluster { name: test, listen: "127.0.0.1:${port}", routes: [${all}] }\n`,
      ),
    ),
  );
}

/**
 * The index of the server in a cluster that leads a stream. Waits while there is no leader, or JetStream does not
 * answer.
 */
export async function streamLeader(nats: NatsConnection, stream: string): Promise<number> {
  const giveUp = performance.now() + PATIENCE_MS;
  for (;;) {
    const leader = await nats
      .jetstreamManager()
      .then(({ streams }) => streams.info(stream))
      .then(
        ({ cluster }) => cluster?.leader ?? '',
        () => '',
      );
    // stoppedNatsCluster calls them n1, n2, n3.
    if (leader !== '') return Number(leader.slice(1)) - 1;
    if (performance.now() > giveUp) throw new Error(`nobody leads the stream ${stream}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** The settings for these servers; `env`: further settings by their SPANMESH_ names. */
export function natsOptionsFor(
  servers: readonly { readonly url: string }[],
  env: Record<string, string> = {},
): NatsBusOptions {
  const url = servers.map((server) => server.url).join(',');
  return readSettings(
    { ...natsSettings, ...installationSetting },
    { env: { SPANMESH_NATS_URL: url, ...env }, flags: {} },
  );
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (outcome: boolean) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.once('data', () => done(true));
    socket.once('error', () => done(false));
    socket.once('close', () => done(false));
  });
}
