import type { Step } from '@spanmesh/runtime/trace/step';
import type { Link, LnkConn, Peer, Relay, RelaySource } from './peer.ts';

/**
 * The reports to topology about peers, and about the LNK_CONNs, links and relays open with them (gateway_control.proto,
 * StateChange).
 */
export interface PeerReports {
  connectionOpened(peer: Peer): void;
  /** The peer was suspect, and has shown life. */
  connectionAlive(peer: Peer): void;
  /** The connection is being closed in order; `reason`: a sentence for people. */
  connectionClosing(peer: Peer, reason: string): void;
  /** The connection has closed. Its LNK_CONNs, links and relays have ended with it and are not reported one by one. */
  connectionClosed(peer: Peer): void;
  lnkConnOpened(lnkConn: LnkConn): void;
  /** The LNK_CONN has closed. Its relays have closed with it and are not reported one by one. */
  lnkConnClosed(lnkConn: LnkConn): void;
  /** `step`: a step of a trace, which ends once the report has been sent; null: no trace. */
  linkOpened(link: Link, step?: Step | null): void;
  linkStatus(link: Link): void;
  /** The link has closed. Its relays on this gateway have closed with it and are not reported one by one. */
  linkClosed(link: Link): void;
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
}

/** Told of the LNK_CONNs of peers, and of the LNK_VOLCONFs sent in them. */
export interface LnkConnEvents {
  lnkConnOpened(lnkConn: LnkConn): void;
  lnkConnClosed(lnkConn: LnkConn): void;
  /** A valid LNK_VOLCONF has come for this slot: `lnkConn.volconfs` has it. */
  slotReceived(lnkConn: LnkConn, index: number): void;
}
