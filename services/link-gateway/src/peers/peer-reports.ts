import type { Entry, ListName } from '@spanmesh/proto/state-change';
import type { Step } from '@spanmesh/runtime/trace/step';
import type { Link, LnkConn, Peer, Relay, RelaySource } from './peer.ts';

/**
 * The reports to topology about peers, and about the LNK_CONNs, links and relays open with them (gateway_control.proto,
 * StateChange).
 */
export interface PeerReports {
  /**
   * Reports one entry of a list. When a connection, a LNK_CONN or a link closes, what was open on it has closed with it
   * and is not reported one by one.
   */
  tell<Name extends ListName>(list: Name, entry: Entry<Name>): void;
  /** A connection is established, or something that topology is told of it has changed. */
  connectionOpened(peer: Peer): void;
  /** `step`: a step of a trace, which ends once the report has been sent; null: no trace. */
  linkOpened(link: Link, step?: Step | null): void;
  /**
   * A link of another gateway is known here now; reported unless the leader knows that already. Gateways' own spans are
   * not reported: the leader does not know them.
   */
  linkKnown(source: RelaySource): void;
  /** A peer has closed a relay that topology had opened. */
  relayRefused(relay: Relay): void;
  /** A relay is open on demand from now on, either newly opened or no longer wanted by topology. */
  onDemandOpened(relay: Relay): void;
  /** A relay that was open on demand has closed, or topology wants it now. */
  onDemandClosed(relay: Relay): void;
  /**
   * Who offers links at other gateways that are not relayed here has changed; `read` says who it is when that is told.
   */
  offerersWithheld(read: () => readonly string[]): void;
}

/** Told of the LNK_CONNs of peers, and of the LNK_VOLCONFs sent in them. */
export interface LnkConnEvents {
  lnkConnOpened(lnkConn: LnkConn): void;
  lnkConnClosed(lnkConn: LnkConn): void;
  /** A valid LNK_VOLCONF has come for this slot: `lnkConn.volconfs` has it. */
  slotReceived(lnkConn: LnkConn, index: number): void;
}
