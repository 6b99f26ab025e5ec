import { Distribution } from '@spanmesh/runtime/distribution';
import { CLOSE_REASONS, type CloseReason } from './connection/close-reason.ts';
import { REFUSALS, type Refusal } from './entrance/admission.ts';

/**
 * Why a relay has closed. `command`: topology has ordered it. `link`, `lnk_conn`: the relay's link or LNK_CONN has
 * closed. `refused`: its peer has closed it. `connection`: its connection was lost. `unused`: it was a return path that
 * no route used.
 */
export type RelayClosing = 'command' | 'link' | 'lnk_conn' | 'refused' | 'connection' | 'unused';

/** The counters of a gateway: plain numbers, read when they are scraped (register-metrics.ts). */
export class GatewayMetrics {
  connectionsAccepted = 0;
  connectionsDialled = 0;
  dialsFailed = 0;
  readonly refused: Record<Refusal, number>;
  readonly closed: Record<CloseReason, number>;
  /** Connections closed for protocol errors of the peer, by the name of the error (protocol.md, "Message"). */
  readonly protocolErrors: Record<string, number> = {};

  bytesIn = 0;
  bytesOut = 0;
  messagesIn = 0;
  /**
   * Received messages that were for the gateway itself. Each costs ten times as much as a message that is passed on.
   */
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
  /** For one link in SAMPLED_LINKS: time until its first relay was queued, seconds. */
  readonly firstRelay = new Distribution();
  /** For one routed transaction in SAMPLED_TRANSACTIONS: time until both directions had ended, seconds. */
  readonly routed = new Distribution();
  /** Duration of completed handshakes, seconds. */
  readonly handshake = new Distribution();
  /** Relays that are open on demand only. */
  onDemandRelays = 0;
  /** LNK_SPANs and LNK_CONNs refused, for a bad peer_type or a limit. */
  opensRefused = 0;
  /** LNK_SPANs (linkid) with a negative dist. */
  negativeDists = 0;
  volconfs = 0;
  volconfsIgnored = 0;
  /** Commands that we do not know, answered NOSUPP. */
  unknownCommands = 0;
  /** Messages inside LNK_CONN, LNK_SPAN and relays whose command has no meaning there. */
  ignoredMessages = 0;
  /** Transactions passed on to other peers or gateways, or begun by clients of this one. */
  routedTransactions = 0;
  /** Messages for other peers that could not be passed on. */
  routedDropped = 0;
  /**
   * Reads that waited for the answer to another peer's equal read; and those of them that got no answer and were sent
   * to the node after all.
   */
  readsConsolidated = 0;
  readsAskedAgain = 0;
  shellCommands = 0;
  shellRefused = 0;
  probesSent = 0;
  /** Times that a connection was not read for a while because a destination of it did not keep up. */
  pauses = 0;
  /** Commands of topology that named something that is gone. */
  commandsStale = 0;
  /** Unexpected exceptions in this program that cost a connection, or part of an ending (shares/endings.ts). */
  internalErrors = 0;

  constructor() {
    this.refused = Object.fromEntries(REFUSALS.map((reason) => [reason, 0])) as Record<Refusal, number>;
    this.closed = Object.fromEntries(CLOSE_REASONS.map((reason) => [reason, 0])) as Record<CloseReason, number>;
  }
}
