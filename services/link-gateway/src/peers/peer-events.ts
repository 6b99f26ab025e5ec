import type { Dialect } from '@spanmesh/dmsg/dialect';
import { decodeLnkConnPayload } from '@spanmesh/dmsg/payload/lnk-conn';
import { apiDialect } from '@spanmesh/proto/dialect';
import { EventKind, type PeerEvent } from '@spanmesh/proto/v1/events';
import type { EventTeller } from '@spanmesh/runtime/events/event-teller';
import { adviceFor, type CloseReason, closeWords } from '../connection/close-reason.ts';
import type { LnkConn, Peer } from './peer.ts';

/** Tells the events of peers (`spanmesh events`): a peer has connected, asks for spans, has gone. */
export class PeerEvents {
  readonly #gateway: () => string;
  readonly #events: EventTeller;

  /** `gateway`: returns this gateway's id, which changes when topology has declared the gateway dead. */
  constructor({ gateway }: { readonly gateway: () => string }, { events }: { readonly events: EventTeller }) {
    this.#gateway = gateway;
    this.#events = events;
  }

  up(peer: Peer, dialect: Dialect): void {
    this.#tell(EventKind.EVENT_KIND_PEER_UP, peer, dialect, {});
  }

  /**
   * A peer has gone. `dialect`: the dialect of the connection, which does not know it any more by now. `reason`: why
   * the connection closed.
   */
  down(peer: Peer, dialect: Dialect, reason: CloseReason): void {
    const why = peer.leaving?.why ?? '';
    const words = why === '' ? closeWords(reason) : `${closeWords(reason)}: ${why}`;
    // A reason for which there is advice has been logged already, with the advice.
    this.#tell(
      EventKind.EVENT_KIND_PEER_DOWN,
      peer,
      dialect,
      { reason: words },
      { isLogged: adviceFor(reason) !== null },
    );
  }

  asksForSpans({ peer, payload }: LnkConn): void {
    const { dialect } = peer.connection;
    if (dialect === null) return;
    const { label } = decodeLnkConnPayload(dialect, payload, 0);
    this.#tell(EventKind.EVENT_KIND_LNK_CONN, peer, dialect, { label });
  }

  #tell(
    kind: EventKind,
    { id, connection: { remote: address, principal } }: Peer,
    dialect: Dialect,
    { reason = '', label = '' }: Partial<PeerEvent>,
    options: { readonly isLogged?: boolean } = {},
  ): void {
    const connection = `${this.#gateway()}:${id}`;
    const peer: PeerEvent = {
      connection,
      address,
      dialect: apiDialect(dialect),
      keyName: principal.startsWith('key:') ? principal : '',
      reason,
      label,
    };
    this.#events.tell({ kind, subject: connection, principal, peer }, options);
  }
}
