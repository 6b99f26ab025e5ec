import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Endpoint } from '@spanmesh/dmsg/endpoint';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Logger } from '@spanmesh/runtime/log/logger';
import type { CloseReason } from '../connection/close-reason.ts';
import { Connection } from '../connection/connection.ts';
import type { ConnectionDependencies, ConnectionEvents, ConnectionStart } from '../connection/connection-start.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { OpenTables } from './open-tables.ts';
import type { OwnLnkConn } from './own-lnk-conn.ts';
import { Peer } from './peer.ts';
import type { PeerEvents } from './peer-events.ts';
import type { PeerReports } from './peer-reports.ts';
import type { Relays } from './relays.ts';

export interface PeerLifeDependencies {
  readonly connections: ConnectionDependencies;
  readonly tables: OpenTables;
  readonly reports: PeerReports;
  readonly events: PeerEvents;
  readonly relays: Pick<Relays, 'resume'>;
  readonly ownLnkConn: OwnLnkConn;
  readonly dispatcher: Dispatcher;
  readonly logger: Logger;
  /** Called last of all, when a peer's socket has closed. */
  readonly gone: (peer: Peer, reason: CloseReason) => void;
}

/**
 * Follows one peer from its socket's opening to its closing: enters it in the tables and removes it, reports it to
 * topology, and hands what it begins to the dispatcher.
 */
export class PeerLife implements ConnectionEvents {
  readonly peer: Peer;
  readonly #deps: PeerLifeDependencies;
  /** Dialect of the established connection; null: it was never established, and no event tells that it has gone. */
  #dialect: Dialect | null = null;

  constructor(start: Omit<ConnectionStart, 'id'>, deps: PeerLifeDependencies) {
    this.#deps = deps;
    const id = deps.tables.nextNumber();
    this.peer = new Peer(new Connection({ ...start, id }, deps.connections, this));
    deps.tables.sockets.add(this.peer);
  }

  established({ rules: { dialect } }: Endpoint): void {
    const { tables, reports, events, ownLnkConn, logger } = this.#deps;
    const { peer } = this;
    const { connection } = peer;
    tables.connections.set(peer.id, peer);
    reports.connectionOpened(peer);
    this.#dialect = dialect;
    events.up(peer, dialect);
    logger.debug(
      { connection: peer.id, peer: connection.remote, dialect, encrypted: connection.isEncrypted },
      'connection established',
    );
    if (connection.endpoint !== null) peer.openOwnLnkConn(connection.endpoint, ownLnkConn.payload(dialect));
  }

  onOpen(tx: Transaction, frame: Frame): void {
    this.#deps.dispatcher.open(this.peer, tx, frame);
  }

  onOneWay(frame: Frame, circuit: Transaction | null): void {
    this.#deps.dispatcher.oneWay(this.peer, frame, circuit);
  }

  heard(): void {
    const { peer } = this;
    if (peer.liveness.heard() && peer.connection.isOpen) this.#deps.reports.tell('connectionsAlive', peer.id);
  }

  drained(): void {
    if (this.peer.waitingRelays.length > 0) this.#deps.relays.resume(this.peer);
  }

  ending(): void {
    const { tables, reports } = this.#deps;
    tables.connections.delete(this.peer.id);
    // Topology is told of the connection only: everything on it ends with it (gateway_control.proto, StateChange).
    reports.tell('connectionsClosed', this.peer.id);
    this.peer.waitingRelays = [];
  }

  gone(reason: CloseReason): void {
    this.#deps.tables.sockets.delete(this.peer);
    if (this.#dialect !== null) this.#deps.events.down(this.peer, this.#dialect, reason);
    this.#deps.gone(this.peer, reason);
    this.peer.gone();
  }
}
