import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApiToken } from '@spanmesh/runtime/access/api-tokens';
import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { residentKb } from '../bench/machine.ts';
import { ownerNode } from '../peer/busy-pairs.ts';
import { makeKeys } from '../peer/crypt.ts';
import { ServiceProcess } from '../peer/installation.ts';
import { KeysDir } from '../peer/keys-dir.ts';
import { scrape } from '../peer/scrape.ts';
import { HONEST_MEDIA } from './honest.ts';
import { OVER_TRUNK } from './honest-type.ts';
import { type Target, usersOf } from './target.ts';

/** Limits low enough to be met within a second. */
const LOW_LIMITS_OF_A_GATEWAY = {
  SPANMESH_MAX_CONNECTIONS: '200',
  SPANMESH_MAX_CONNECTIONS_PER_ADDRESS: '150',
  SPANMESH_MAX_RELAYS: '8000',
  SPANMESH_MAX_HANDSHAKES_PER_ADDRESS: '20',
  SPANMESH_HANDSHAKE_TIMEOUT: '400ms',
  SPANMESH_SILENT_TIMEOUT: '400ms',
  SPANMESH_MESSAGE_TIMEOUT: '400ms',
  SPANMESH_STALL_TIMEOUT: '500ms',
  SPANMESH_SEND_LIMIT: String(4 << 20),
  SPANMESH_RECEIVE_LIMIT: String(16 << 20),
  SPANMESH_MAX_LINKS_PER_CONNECTION: '1000',
  SPANMESH_MAX_LNK_CONNS_PER_CONNECTION: '16',
  SPANMESH_MAX_TRANSACTIONS: '1200',
};

const LOW_LIMITS = {
  ...LOW_LIMITS_OF_A_GATEWAY,
  SPANMESH_VOLCONF_MAX_SLOTS: '500',
  SPANMESH_MAX_API_CONNECTIONS: '200',
};

/** Attacks that there may be: their numbers are parts of addresses. */
const MOST_ATTACKS = 255;

type Common = Omit<Target, 'number' | 'full' | 'tokens'>;

/** Of the users of one attack. */
type Tokens = Record<'read' | 'operate', ReturnType<typeof createApiToken>>;

/**
 * A standalone installation in a process of its own: everything that it does shares one event loop, which is the
 * hardest case. Beside it another gateway, with a trunk between the two.
 */
export class AttackWorld {
  readonly targetPort: number;
  readonly honestToken: string;
  readonly process: ServiceProcess;
  readonly #there: ServiceProcess;
  readonly #keys: KeysDir;
  readonly #common: Common;
  readonly #tokens: readonly Tokens[];
  readonly #read = new Map<ServiceProcess, number>();

  private constructor(
    process: ServiceProcess,
    there: ServiceProcess,
    keys: KeysDir,
    common: Common,
    tokens: readonly Tokens[],
    honest: string,
    port: number,
  ) {
    this.process = process;
    this.#there = there;
    this.#keys = keys;
    this.#common = common;
    this.#tokens = tokens;
    this.honestToken = honest;
    this.targetPort = port;
  }

  /** `full`: with default limits. */
  static async start(full: boolean): Promise<AttackWorld> {
    const mallory = makeKeys();
    const keys = new KeysDir(
      {
        '127.0.0.0_24.none': '',
        '127.66.0.0_16.none': '',
        '127.68.0.0_16.none': '',
        '127.70.0.0_15.none': '',
        '127.72.0.0_13.none': '',
        '127.67.0.0_16.pub': mallory.pub,
      },
      makeKeys(),
      mallory,
    );
    const honest = createApiToken({ name: 'ann', role: 'operate' });
    // Two users for each attack, so that what is said of them is said of it.
    const tokens = Array.from({ length: MOST_ATTACKS }, (_, number) => {
      const { read, operate } = usersOf({ number });
      return {
        read: createApiToken({ name: read, role: 'read' }),
        operate: createApiToken({ name: operate, role: 'operate' }),
      };
    });
    const tokensFile = join(keys.path, 'tokens');
    const lines = [honest, ...tokens.flatMap(({ read, operate }) => [read, operate])].map(({ line }) => line);
    writeFileSync(tokensFile, lines.join('\n'), { mode: 0o600 });
    const [linkid, circuit, any, trunk, targetPort] = [
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    const process = await ServiceProcess.start('standalone', {
      SPANMESH_DMSG_LISTEN: `linkid://127.0.0.1:${linkid},circuit://127.0.0.1:${circuit},127.0.0.1:${any}`,
      SPANMESH_TRUNK_LISTEN: `127.0.0.1:${trunk}`,
      SPANMESH_DATA_DIR: '',
      SPANMESH_KEYS_DIR: keys.path,
      SPANMESH_API_TOKENS_FILE: tokensFile,
      SPANMESH_PROXY_PROTOCOL_FROM: '127.68.0.0/16',
      SPANMESH_DIAL_ALLOW: `127.0.0.1/32:${targetPort}`,
      ...(full ? {} : LOW_LIMITS),
    });
    await process.ready();
    const there = { linkid: await freePort(), circuit: await freePort() };
    const second = await ServiceProcess.start('link-gateway', {
      SPANMESH_GATEWAY_NAME: 'there',
      SPANMESH_TOPOLOGY_ADDRESS: `127.0.0.1:${process.ports.service}`,
      SPANMESH_DMSG_LISTEN: `linkid://127.0.0.1:${there.linkid},circuit://127.0.0.1:${there.circuit}`,
      SPANMESH_TRUNK_LISTEN: '127.0.0.1:0',
      SPANMESH_KEYS_DIR: keys.path,
      SPANMESH_API_TOKENS_FILE: tokensFile,
      ...(full ? {} : LOW_LIMITS_OF_A_GATEWAY),
    });
    try {
      await second.ready();
    } catch (error) {
      await process.stop('SIGKILL');
      throw error;
    }
    const { grpc, http } = process.ports;
    const ports = { linkid, circuit, any, trunk, there, grpc, http };
    const owners = {
      linkid: ownerNode(0),
      circuit: ownerNode(0),
      overTrunk: ownerNode(0, OVER_TRUNK.firstNode),
    };
    const secrets = { key: mallory.prv, routerKey: keys.router.pub, media: HONEST_MEDIA };
    return new AttackWorld(process, second, keys, { ...ports, owners, ...secrets }, tokens, honest.token, targetPort);
  }

  target(number: number, full: boolean): Target {
    const { read, operate } = this.#tokens[number]!;
    return { ...this.#common, tokens: { read: read.token, operate: operate.token }, number, full };
  }

  get isDead(): boolean {
    return this.#processes.some(({ child }) => child.exitCode !== null || child.signalCode !== null);
  }

  /** Memory that the larger of the processes has now, bytes. */
  get memory(): number {
    return Math.max(...this.#processes.map(({ child }) => 1024 * residentKb(child.pid!)));
  }

  /** Lines of the log since the last call. */
  takeLines(): string[] {
    return this.#processes.flatMap((process) => {
      const lines = process.output.slice(this.#read.get(process) ?? 0).split('\n');
      this.#read.set(process, process.output.length - lines.at(-1)!.length);
      return lines.slice(0, -1);
    });
  }

  metrics(): Promise<Map<string, number>> {
    return scrape(this.process.ports.http);
  }

  /** Of the other gateway. */
  metricsThere(): Promise<Map<string, number>> {
    return scrape(this.#there.ports.http);
  }

  get #processes(): readonly ServiceProcess[] {
    return [this.process, this.#there];
  }

  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.stop('SIGKILL')));
    this.#keys.remove();
  }
}
