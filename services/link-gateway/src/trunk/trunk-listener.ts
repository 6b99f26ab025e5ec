import type { Server, Socket } from 'node:net';
import { nameOf } from '@spanmesh/proto/gateway-id';
import { formatHostPort, type HostPort } from '@spanmesh/runtime/address';
import type { Clock } from '@spanmesh/runtime/clock';
import { listenError } from '@spanmesh/runtime/grpc/listen-error';
import { type Logger, Throttle } from '@spanmesh/runtime/log/logger';
import { SettingError } from '@spanmesh/runtime/settings/setting';
import { addressPrincipal } from '@spanmesh/runtime/shares/address-principal';
import { type Holding, Pool, type PoolLimit } from '@spanmesh/runtime/shares/pool';
import type { TlsFiles } from '@spanmesh/runtime/tls/tls-files';
import type { GatewayId } from '@spanmesh/spantree/ids';
import { LOG_INTERVAL_MS, MAX_UNAUTHENTICATED, TOKEN_BYTES, UNAUTHENTICATED_MS } from './limits.ts';
import type { Tokens } from './tokens.ts';
import { isTrunkOf, listenTrunk, mayListenPlain } from './transport.ts';
import type { TrunkMetrics } from './trunk-metrics.ts';

/** Sent by the accepting side once it has accepted the token. Before that the caller sends nothing but its token. */
export const GREETING = Buffer.from('spanmesh trunk 1');

export interface TrunkListenerDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tokens: Tokens;
  /** This gateway's certificate; null: plain TCP. */
  readonly tls: TlsFiles | null;
  readonly metrics: TrunkMetrics;
  /** Called each time that an address has too many connections without a token. */
  readonly limited: (limit: PoolLimit) => void;
  /**
   * Called when a connection's token was good; `rest`: the bytes after it. The called function must send the greeting.
   */
  readonly accepted: (gateway: GatewayId, socket: Socket, rest: Uint8Array) => void;
}

/**
 * The port that other gateways connect to with their tokens. Any host that reaches the port may connect. When the limit
 * of connections that wait for a token is reached, one of the address with most of them is closed, not a new connection
 * of another address.
 */
export class TrunkListener {
  readonly #listen: HostPort;
  readonly #setting: string;
  readonly #deps: TrunkListenerDependencies;
  readonly #waiting = new Map<Socket, Holding<Socket>>();
  readonly #pool: Pool<Socket>;
  readonly #throttle: Throttle;
  #server: Server | null = null;

  /** `setting`: name of the setting, for a SettingError. */
  constructor({ listen, setting }: { listen: HostPort; setting: string }, deps: TrunkListenerDependencies) {
    this.#listen = listen;
    this.#setting = setting;
    this.#deps = deps;
    const { clock, limited, metrics } = deps;
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
    const bounds = { total: MAX_UNAUTHENTICATED, share: MAX_UNAUTHENTICATED };
    const evict = (socket: Socket): void => {
      metrics.tokensRefused++;
      this.#drop(socket);
      socket.destroy();
    };
    this.#pool = new Pool({ resource: 'trunk connections without a token', ...bounds }, { evict, limited });
  }

  /** Connections whose token has not come yet. */
  get unauthenticated(): number {
    return this.#waiting.size;
  }

  /**
   * Resolves with the port.
   * @throws SettingError: the address cannot be listened on.
   */
  start(): Promise<number> {
    const { host, port } = this.#listen;
    const where = formatHostPort(this.#listen);
    const { tls } = this.#deps;
    if (tls === null && !mayListenPlain(host)) {
      const why = `cannot listen on ${where}: without certificates only the loopback may be used`;
      return Promise.reject(new SettingError(this.#setting, why));
    }
    const refused = () => this.#refused('', 'no certificate of a gateway');
    const server = listenTrunk(tls, { accept: (socket) => this.#authenticate(socket), refused });
    this.#server = server;
    return new Promise((resolve, reject) => {
      const refuse = (cause: Error) => reject(listenError(this.#setting, { host, port }, cause));
      server.once('error', refuse);
      server.listen({ host, port }, () => {
        server.off('error', refuse);
        server.on('error', (err) => this.#deps.logger.error({ err }, 'trunk listener'));
        resolve((server.address() as { port: number }).port);
      });
    });
  }

  /** Takes no more connections, and closes those whose token has not come. */
  stop(): void {
    this.#server?.close();
    for (const socket of this.#waiting.keys()) socket.destroy();
  }

  #authenticate(socket: Socket): void {
    const { clock, metrics } = this.#deps;
    const address = socket.remoteAddress ?? '';
    socket.on('error', () => socket.destroy());
    const holding = this.#pool.open(addressPrincipal(address), socket);
    if (this.#pool.take(holding) !== null) {
      this.#pool.close(holding);
      metrics.tokensRefused++;
      socket.destroy();
      return;
    }
    this.#waiting.set(socket, holding);
    const token = Buffer.alloc(TOKEN_BYTES);
    let have = 0;
    const deadline = clock.after(UNAUTHENTICATED_MS, () => {
      this.#refused(address, 'no token has come');
      socket.destroy();
    });
    const settle = () => {
      deadline.cancel();
      this.#drop(socket);
    };
    socket.on('close', settle);
    // With allowHalfOpen a connection closed by the caller would otherwise stay until the deadline.
    socket.on('end', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      const used = chunk.copy(token, have);
      have += used;
      if (have < TOKEN_BYTES) return;
      // The first 32 bytes decide (trunk.proto, Trunk).
      const gateway = this.#deps.tokens.redeem(token);
      if (gateway === null || !isTrunkOf(socket, nameOf(gateway))) {
        this.#refused(address, 'no token that was given out');
        socket.destroy();
        return;
      }
      settle();
      socket.removeAllListeners();
      this.#deps.accepted(gateway, socket, chunk.subarray(used));
    });
  }

  /** It is waited for no more. */
  #drop(socket: Socket): void {
    const holding = this.#waiting.get(socket);
    if (holding === undefined) return;
    this.#waiting.delete(socket);
    this.#pool.close(holding);
  }

  /** `peer`: its address; empty: not known. */
  #refused(peer: string, why: string): void {
    const { metrics, logger } = this.#deps;
    metrics.tokensRefused++;
    const { log, suppressed } = this.#throttle.admit(`${why} ${peer}`);
    if (log) logger.warn({ peer, why, suppressed }, 'trunk refused: what connects here is no gateway');
  }
}
