import type { Step } from '@spanmesh/runtime/trace/step';
import type { Link, LnkConn, Peer, Relay, RelaySource } from './peer.ts';

/** What topology hears of peers and of what is open with them (gateway_control.proto, StateChange). */
export interface PeerReports {
  connectionOpened(peer: Peer): void;
  /** It was suspect, and has shown life. */
  connectionAlive(peer: Peer): void;
  /** It is being closed in order; `reason`: a sentence for people. */
  connectionClosing(peer: Peer, reason: string): void;
  /** What was on it has ended, too, and is not reported. */
  connectionClosed(peer: Peer): void;
  lnkConnOpened(lnkConn: LnkConn): void;
  /** Its relays are closed, and not reported. */
  lnkConnClosed(lnkConn: LnkConn): void;
  /** `step`: the trace that this is in, which ends once it is told; null: none. */
  linkOpened(link: Link, step?: Step | null): void;
  linkStatus(link: Link): void;
  /** Its relays on this gateway are closed, and not reported. */
  linkClosed(link: Link): void;
  /** A link of another gateway is known here now, unless the leader knows that already. Gateways' own spans it does not know. */
  linkKnown(source: RelaySource): void;
  /** A peer has closed a relay that topology had opened. */
  relayRefused(relay: Relay): void;
  /** A relay is open on demand from now on. */
  onDemandOpened(relay: Relay): void;
  /** A relay is closed, or topology's, that was open on demand. */
  onDemandClosed(relay: Relay): void;
}

/** Hears of LNK_CONNs, and of the LNK_VOLCONFs in them. */
export interface LnkConnEvents {
  lnkConnOpened(lnkConn: LnkConn): void;
  lnkConnClosed(lnkConn: LnkConn): void;
  /** A good LNK_VOLCONF for this slot: `lnkConn.volconfs` has it. */
  slotReceived(lnkConn: LnkConn, index: number): void;
}
