import { decodeLnkConnPayload } from '@spanmesh/dmsg/payload/lnk-conn';
import { EventKind, type PeerEvent } from '@spanmesh/proto/v1/events';
import { Dialect } from '@spanmesh/proto/v1/types';
import type { EventTeller } from '@spanmesh/runtime/events/event-teller';
import { adviceFor, type CloseReason, closeWords } from '../connection/close-reason.ts';
import type { LnkConn, Peer } from './peer.ts';
import { apiDialect } from './wire-dialect.ts';

/** What people are told of peers: that they come, ask for spans, and go. */
export class PeerEvents {
  readonly #gateway: () => string;
  readonly #events: EventTeller;

  /** `gateway`: id of this one. */
  constructor({ gateway }: { readonly gateway: () => string }, { events }: { readonly events: EventTeller }) {
    this.#gateway = gateway;
    this.#events = events;
  }

  up(peer: Peer): void {
    this.#tell(EventKind.EVENT_KIND_PEER_UP, peer, {});
  }

  /** `reason` is why its connection has ended. */
  down(peer: Peer, reason: CloseReason): void {
    const why = peer.leaving?.why ?? '';
    const words = why === '' ? closeWords(reason) : `${closeWords(reason)}: ${why}`;
    // What is not part of ordinary life is in the log already, with advice.
    this.#tell(EventKind.EVENT_KIND_PEER_DOWN, peer, { reason: words }, { isLogged: adviceFor(reason) !== null });
  }

  asksForSpans({ peer, payload }: LnkConn): void {
    const { dialect } = peer.connection;
    const label = dialect === null ? '' : decodeLnkConnPayload(dialect, payload, 0).label;
    this.#tell(EventKind.EVENT_KIND_LNK_CONN, peer, { label });
  }

  #tell(
    kind: EventKind,
    { id, connection: { remote: address, dialect, principal } }: Peer,
    { reason = '', label = '' }: Partial<PeerEvent>,
    options: { readonly isLogged?: boolean } = {},
  ): void {
    const connection = `${this.#gateway()}:${id}`;
    const peer: PeerEvent = {
      connection,
      address,
      dialect: dialect === null ? Dialect.DIALECT_UNSPECIFIED : apiDialect(dialect),
      keyName: principal.startsWith('key:') ? principal : '',
      reason,
      label,
    };
    this.#events.tell({ kind, subject: connection, principal, peer }, options);
  }
}
