import type { Dialect } from '@spanmesh/dmsg/dialect';
import { decodeLnkConnPayload } from '@spanmesh/dmsg/payload/lnk-conn';
import { apiDialect } from '@spanmesh/proto/dialect';
import { EventKind, type PeerEvent } from '@spanmesh/proto/v1/events';
import type { EventTeller } from '@spanmesh/runtime/events/event-teller';
import { adviceFor, type CloseReason, closeWords } from '../connection/close-reason.ts';
import type { LnkConn, Peer } from './peer.ts';

/** What people are told of peers: that they come, ask for spans, and go. */
export class PeerEvents {
  readonly #gateway: () => string;
  readonly #events: EventTeller;

  /** `gateway`: id of this one. */
  constructor({ gateway }: { readonly gateway: () => string }, { events }: { readonly events: EventTeller }) {
    this.#gateway = gateway;
    this.#events = events;
  }

  up(peer: Peer, dialect: Dialect): void {
    this.#tell(EventKind.EVENT_KIND_PEER_UP, peer, dialect, {});
  }

  /** `dialect`: what was spoken; its connection knows no more. `reason`: why that has ended. */
  down(peer: Peer, dialect: Dialect, reason: CloseReason): void {
    const why = peer.leaving?.why ?? '';
    const words = why === '' ? closeWords(reason) : `${closeWords(reason)}: ${why}`;
    // What is not part of ordinary life is in the log already, with advice.
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
