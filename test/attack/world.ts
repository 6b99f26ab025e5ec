import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApiToken } from '@spanmesh/runtime/access/api-tokens';
import { residentKb } from '../bench/machine.ts';
import { ownerNode } from '../peer/busy-pairs.ts';
import { makeKeys } from '../peer/crypt.ts';
import { freePort, ServiceProcess } from '../peer/installation.ts';
import { KeysDir } from '../peer/keys-dir.ts';
import { scrape } from '../peer/scrape.ts';
import { HONEST_MEDIA } from './honest.ts';
import { type Target, USERS } from './target.ts';

/** Limits low enough to be reached within a second. */
const LOW_LIMITS = {
  SPANMESH_MAX_CONNECTIONS_PER_ADDRESS: '150',
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
  SPANMESH_VOLCONF_MAX_SLOTS: '500',
  SPANMESH_MAX_API_CONNECTIONS: '200',
};

/** A standalone installation in a process of its own. Everything shares one event loop, which is the hardest case. */
export class AttackWorld {
  readonly targetPort: number;
  readonly honestToken: string;
  readonly process: ServiceProcess;
  readonly #keys: KeysDir;
  readonly #common: Omit<Target, 'number' | 'full'>;
  #read = 0;

  private constructor(
    process: ServiceProcess,
    keys: KeysDir,
    common: Omit<Target, 'number' | 'full'>,
    honest: string,
    port: number,
  ) {
    this.process = process;
    this.#keys = keys;
    this.#common = common;
    this.honestToken = honest;
    this.targetPort = port;
  }

  /** `full`: with default limits. */
  static async start(full: boolean): Promise<AttackWorld> {
    const mallory = makeKeys();
    const keys = new KeysDir(
      { '127.0.0.0_24.none': '', '127.66.0.0_16.none': '', '127.68.0.0_16.none': '', '127.67.0.0_16.pub': mallory.pub },
      makeKeys(),
      mallory,
    );
    const [honest, read, operate] = [
      { name: 'ann', role: 'operate' as const },
      { name: USERS.read, role: 'read' as const },
      { name: USERS.operate, role: 'operate' as const },
    ].map(createApiToken);
    const tokensFile = join(keys.path, 'tokens');
    writeFileSync(tokensFile, [honest, read, operate].map((token) => token!.line).join('\n'), { mode: 0o600 });
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
    const { grpc, http } = process.ports;
    const ports = { linkid, circuit, any, trunk, grpc, http };
    const tokens = { read: read!.token, operate: operate!.token };
    const owners = { linkid: ownerNode(0), circuit: ownerNode(0) };
    const secrets = { key: mallory.prv, routerKey: keys.router.pub, media: HONEST_MEDIA };
    return new AttackWorld(process, keys, { ...ports, tokens, owners, ...secrets }, honest!.token, targetPort);
  }

  target(number: number, full: boolean): Target {
    return { ...this.#common, number, full };
  }

  get isDead(): boolean {
    return this.process.child.exitCode !== null || this.process.child.signalCode !== null;
  }

  /** Resident memory of the process, bytes. */
  get memory(): number {
    return 1024 * residentKb(this.process.child.pid!);
  }

  /** Lines of the log since the last call. */
  takeLines(): string[] {
    const lines = this.process.output.slice(this.#read).split('\n');
    this.#read = this.process.output.length - lines.at(-1)!.length;
    return lines.slice(0, -1);
  }

  metrics(): Promise<Map<string, number>> {
    return scrape(this.process.ports.http);
  }

  async stop(): Promise<void> {
    await this.process.stop('SIGKILL');
    this.#keys.remove();
  }
}
