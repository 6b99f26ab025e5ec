import { Distribution } from '@spanmesh/runtime/distribution';
import { CLOSE_REASONS, type CloseReason } from './connection/close-reason.ts';
import { REFUSALS, type Refusal } from './entrance/admission.ts';

/** Why a relay has closed: topology says so, what it passes on or goes to is gone, its peer has closed it, or nothing uses it any more. */
export type RelayClosing = 'command' | 'link' | 'lnk_conn' | 'refused' | 'connection' | 'unused';

/** What a gateway counts: plain numbers, read when they are scraped (register-metrics.ts). */
export class GatewayMetrics {
  connectionsAccepted = 0;
  connectionsDialled = 0;
  dialsFailed = 0;
  readonly refused: Record<Refusal, number>;
  readonly closed: Record<CloseReason, number>;
  /** Connections closed for what the peer sent, by the name of the error (protocol.md, "Message"). */
  readonly protocolErrors: Record<string, number> = {};

  bytesIn = 0;
  bytesOut = 0;
  messagesIn = 0;
  /** Of these, messages for the gateway itself: what is passed on costs a tenth of it. */
  handled = 0;

  links = 0;
  linksOpened = 0;
  lnkConns = 0;
  relays = 0;
  relaysOpened = 0;
  relaysRefused = 0;
  readonly relaysClosed: Record<RelayClosing, number> = {
    command: 0,
    link: 0,
    lnk_conn: 0,
    refused: 0,
    connection: 0,
    unused: 0,
  };
  /** Of every so manieth link: until its first relay was queued, seconds. */
  readonly firstRelay = new Distribution();
  /** Of every so manieth routed transaction: until both directions had ended, seconds. */
  readonly routed = new Distribution();
  /** Of handshakes that were completed, seconds. */
  readonly handshake = new Distribution();
  /** Relays that are open on demand only. */
  onDemandRelays = 0;
  /** LNK_SPANs, LNK_CONNs refused: a bad peer_type, one too many. */
  opensRefused = 0;
  /** LNK_SPANs (linkid) with a negative dist. */
  negativeDists = 0;
  volconfs = 0;
  volconfsIgnored = 0;
  /** Commands that we do not know, answered NOSUPP. */
  unknownCommands = 0;
  /** Messages inside LNK_CONN, LNK_SPAN and relays that mean nothing there. */
  ignoredMessages = 0;
  /** Transactions passed on to other peers or gateways, or begun by clients of this one. */
  routedTransactions = 0;
  /** Messages for other peers that could not be passed on. */
  routedDropped = 0;
  /** Reads that waited for the answer to the same one of somebody else, and those of them that got none. */
  readsConsolidated = 0;
  readsAskedAgain = 0;
  shellCommands = 0;
  shellRefused = 0;
  probesSent = 0;
  /** Times that a connection was not read for a while because a destination of it did not keep up. */
  pauses = 0;
  /** Commands of topology that named something that is not here any more. */
  commandsStale = 0;
  /** Faults of this program that cost a connection. */
  internalErrors = 0;

  constructor() {
    this.refused = Object.fromEntries(REFUSALS.map((reason) => [reason, 0])) as Record<Refusal, number>;
    this.closed = Object.fromEntries(CLOSE_REASONS.map((reason) => [reason, 0])) as Record<CloseReason, number>;
  }
}
