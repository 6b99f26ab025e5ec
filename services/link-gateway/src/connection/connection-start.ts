import type { Socket } from 'node:net';
import type { Endpoint, EndpointHandler } from '@spanmesh/dmsg/endpoint';
import type { CipherPair } from '@spanmesh/dmsg-socket/handshake/cipher-pair';
import type { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import type { Pressure } from '@spanmesh/dmsg-socket/stream/pressure';
import type { HostPort } from '@spanmesh/runtime/address';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { ConnId } from '@spanmesh/spantree/ids';
import type { GatewayMetrics } from '../metrics.ts';
import type { GatewayOptions } from '../settings.ts';
import type { Endings } from '../shares/endings.ts';
import type { GatewayShares } from '../shares/gateway-shares.ts';
import type { CloseReason } from './close-reason.ts';
import type { KernelQueues } from './kernel-queues.ts';
import type { Origin } from './origin.ts';
import type { ReadTurns } from './read-turns.ts';
import type { TurnFlush } from './turn-flush.ts';

// What a connection is made of and with, and whom it tells.

/** A connected socket that becomes a connection. */
export interface ConnectionStart {
  /** Number of the connection. */
  readonly id: ConnId;
  readonly socket: Socket;
  readonly origin: Origin;
  /** Numeric address and port of the peer: those of the socket, or of the PROXY header. */
  readonly remote: HostPort;
  /** Principal whose share of the gateway the connection takes. */
  readonly principal: string;
  /** The ciphers of both directions as the handshake has left them; null: plaintext. */
  readonly cipher: CipherPair | null;
}

/** What a connection tells its owner: the transactions that its peer opens, and its own state. */
export interface ConnectionEvents extends EndpointHandler {
  /** The first call: the dialect is known, and messages may be sent. */
  established(endpoint: Endpoint): void;
  /** Bytes have come. */
  heard(): void;
  /** Bytes have drained, or the connection has ended. */
  drained(): void;
  /**
   * An open connection ends. After this call its transactions are lost; their handlers are told so, some perhaps in
   * later turns.
   */
  ending(): void;
  /** The last call: the socket has closed. */
  gone(reason: CloseReason): void;
}

/** What all connections share. */
export interface ConnectionDependencies {
  readonly options: Pick<
    GatewayOptions,
    | 'defaultDialect'
    | 'dialectTimeout'
    | 'maxTransactions'
    | 'messageTimeout'
    | 'sendLimit'
    | 'silentTimeout'
    | 'stallTimeout'
  >;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly throttle: Throttle;
  readonly metrics: GatewayMetrics;
  readonly flow: Flow;
  readonly turnFlush: TurnFlush;
  readonly shares: GatewayShares;
  readonly endings: Pick<Endings, 'run'>;
  readonly reads: ReadTurns;
  /** Back-pressure of changes that wait for topology; `reported` counts changes. */
  readonly reports: Pressure & { readonly reported: number };
  readonly kernelQueues: KernelQueues;
}
