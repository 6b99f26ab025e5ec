import type { Server, Socket } from 'node:net';
import { nameOf } from '@spanmesh/proto/gateway-id';
import { formatHostPort, type HostPort } from '@spanmesh/runtime/address';
import type { Clock } from '@spanmesh/runtime/clock';
import { listenError } from '@spanmesh/runtime/grpc/listen-error';
import type { Logger } from '@spanmesh/runtime/log/logger';
import { SettingError } from '@spanmesh/runtime/settings/setting';
import type { TlsFiles } from '@spanmesh/runtime/tls/tls-files';
import type { GatewayId } from '@spanmesh/spantree/ids';
import { MAX_UNAUTHENTICATED, TOKEN_BYTES, UNAUTHENTICATED_MS } from './limits.ts';
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
  /**
   * Called when a connection's token was good; `rest`: the bytes after it. The called function must send the greeting.
   */
  readonly accepted: (gateway: GatewayId, socket: Socket, rest: Uint8Array) => void;
}

/** The port that other gateways connect to with their tokens. */
export class TrunkListener {
  readonly #listen: HostPort;
  readonly #setting: string;
  readonly #deps: TrunkListenerDependencies;
  readonly #waiting = new Set<Socket>();
  #server: Server | null = null;

  /** `setting`: name of the setting, for a SettingError. */
  constructor({ listen, setting }: { listen: HostPort; setting: string }, deps: TrunkListenerDependencies) {
    this.#listen = listen;
    this.#setting = setting;
    this.#deps = deps;
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
    const { tls, metrics } = this.#deps;
    if (tls === null && !mayListenPlain(host)) {
      const why = `cannot listen on ${where}: without certificates only the loopback may be used`;
      return Promise.reject(new SettingError(this.#setting, why));
    }
    const refused = () => {
      metrics.tokensRefused++;
    };
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
    for (const socket of this.#waiting) socket.destroy();
  }

  #authenticate(socket: Socket): void {
    const { clock, metrics } = this.#deps;
    socket.on('error', () => socket.destroy());
    if (this.#waiting.size >= MAX_UNAUTHENTICATED) {
      metrics.tokensRefused++;
      socket.destroy();
      return;
    }
    this.#waiting.add(socket);
    const token = Buffer.alloc(TOKEN_BYTES);
    let have = 0;
    const deadline = clock.after(UNAUTHENTICATED_MS, () => {
      metrics.tokensRefused++;
      socket.destroy();
    });
    const settle = () => {
      deadline.cancel();
      this.#waiting.delete(socket);
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
        metrics.tokensRefused++;
        socket.destroy();
        return;
      }
      settle();
      socket.removeAllListeners();
      this.#deps.accepted(gateway, socket, chunk.subarray(used));
    });
  }
}
