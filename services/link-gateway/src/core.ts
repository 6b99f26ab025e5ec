import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { Reports } from './attach/reports.ts';
import type { CloseReason } from './connection/close-reason.ts';
import type { Connection } from './connection/connection.ts';
import type { KernelQueues } from './connection/kernel-queues.ts';
import type { ReceiveMemory } from './connection/receive-memory.ts';
import type { MediaNews } from './dial/media-news.ts';
import type { Entrance } from './entrance/entrance.ts';
import type { GatewayMetrics } from './metrics.ts';
import type { OpenTables } from './peers/open-tables.ts';
import type { OwnLnkConn } from './peers/own-lnk-conn.ts';
import type { Relays } from './peers/relays.ts';
import type { Routing } from './peers/routing.ts';
import type { Flow } from './routing/flow.ts';
import type { GatewayOptions } from './settings.ts';

/** What peers begin, for whoever handles it. */
export interface Dispatch {
  /** A transaction (EndpointHandler.onOpen). */
  open(connection: Connection, tx: Transaction, frame: Frame): void;
  /** A one-way message (EndpointHandler.onOneWay). */
  oneWay(connection: Connection, frame: Frame, circuit: Transaction | null): void;
}

/** What every part of a gateway shares. */
export interface Core {
  readonly options: GatewayOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly throttle: Throttle;
  readonly metrics: GatewayMetrics;
  readonly tables: OpenTables;
  readonly reports: Reports;
  readonly relays: Relays;
  readonly media: MediaNews;
  readonly ownLnkConn: OwnLnkConn;
  readonly entrance: Entrance;
  readonly receiveMemory: ReceiveMemory;
  readonly kernelQueues: KernelQueues;
  readonly dispatch: Dispatch;
  readonly routing: Routing;
  readonly flow: Flow;
  /** Writes what the connection has queued at the end of this turn. */
  flushLater(connection: Connection): void;
  /** The connection's dialect is known: it stands. */
  established(connection: Connection): void;
  /** Its socket has closed: the last call about it. */
  gone(connection: Connection, reason: CloseReason): void;
}
