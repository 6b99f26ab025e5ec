import type { Metrics } from '@spanmesh/runtime/metrics';
import type { Pool } from '@spanmesh/runtime/shares/pool';
import type { Entrance } from './entrance/entrance.ts';
import type { GatewayMetrics } from './metrics.ts';
import type { OpenTables } from './peers/open-tables.ts';
import type { GatewayShares, ShareHolder } from './shares/gateway-shares.ts';

/** The objects that a gateway's metrics are read from. */
export interface Measured {
  readonly metrics: GatewayMetrics;
  readonly tables: Pick<OpenTables, 'connections'>;
  readonly entrance: Pick<Entrance, 'admission'>;
  readonly shares: Pick<GatewayShares, 'all' | 'received'>;
}

/** Registers a gateway's numbers under their metric names. Call it once for a process and gateway. */
export function registerMetrics(to: Metrics, measured: Measured): void {
  const { metrics: m, tables, entrance, shares } = measured;
  const name = (rest: string) => `spanmesh_gateway_${rest}`;

  to.gauge(name('connections'), 'DMSG connections with an open socket.', () => entrance.admission.total);
  to.gauge(name('connections_established'), 'DMSG connections whose dialect is known.', () => tables.connections.size);
  to.gauge(name('lnk_conns'), 'LNK_CONNs that peers have open.', () => m.lnkConns);
  to.gauge(name('links'), 'LNK_SPANs that peers have open.', () => m.links);
  to.gauge(name('relays'), 'LNK_SPANs that this gateway has open, or about to be.', () => m.relays);
  to.gauge(name('on_demand_relays'), 'LNK_SPANs open only as return paths (linkid).', () => m.onDemandRelays);
  to.gauge(name('receive_pending_bytes'), 'Bytes of half-received messages.', () => shares.received.held);

  const ofShares = (read: (pool: Pool<ShareHolder>) => number) => () =>
    Object.fromEntries(shares.all.map((pool) => [pool.options.resource, read(pool)]));
  to.gauge(
    name('shares_held'),
    'Held by all peers together.',
    ofShares((pool) => pool.held),
    'resource',
  );
  to.gauge(
    name('shares_most'),
    'Held by the principal that holds most.',
    ofShares((pool) => pool.most),
    'resource',
  );
  to.gauge(
    name('shares_limit'),
    'Limit for all peers together.',
    ofShares((pool) => pool.options.total),
    'resource',
  );
  to.counter(
    name('share_limits_total'),
    'Times that a principal has come to its share, or had to give way.',
    ofShares((pool) => pool.limits),
    'resource',
  );

  to.counter(name('connections_accepted_total'), 'Connections taken by listeners.', () => m.connectionsAccepted);
  to.counter(name('connections_dialled_total'), 'Connections made by this gateway.', () => m.connectionsDialled);
  to.counter(name('dials_failed_total'), 'Connections that could not be made.', () => m.dialsFailed);
  to.counter(name('connections_refused_total'), 'Connections not taken.', () => m.refused, 'reason');
  to.counter(name('connections_closed_total'), 'Connections that ended.', () => m.closed, 'reason');
  to.counter(name('protocol_errors_total'), 'Connections closed for bad input.', () => m.protocolErrors, 'error');
  to.counter(name('received_bytes_total'), 'Bytes from peers.', () => m.bytesIn);
  to.counter(name('sent_bytes_total'), 'Bytes handed to sockets.', () => m.bytesOut);
  to.counter(name('received_messages_total'), 'Messages from peers.', () => m.messagesIn);
  to.counter(name('links_opened_total'), 'LNK_SPANs opened by peers.', () => m.linksOpened);
  to.counter(name('relays_opened_total'), 'LNK_SPANs opened by this gateway.', () => m.relaysOpened);
  to.counter(name('relays_refused_total'), 'Relays closed by peers.', () => m.relaysRefused);
  to.counter(name('relays_closed_total'), 'LNK_SPANs of this gateway that ended.', () => m.relaysClosed, 'reason');
  to.counter(name('opens_refused_total'), 'LNK_CONNs and LNK_SPANs of peers refused.', () => m.opensRefused);
  to.counter(name('negative_dists_total'), 'LNK_SPANs with a negative dist, taken as 0.', () => m.negativeDists);
  to.counter(name('volconfs_total'), 'LNK_VOLCONFs taken.', () => m.volconfs);
  to.counter(name('volconfs_ignored_total'), 'LNK_VOLCONFs with a bad index or path.', () => m.volconfsIgnored);
  to.counter(name('unknown_commands_total'), 'Commands answered NOSUPP.', () => m.unknownCommands);
  to.counter(name('ignored_messages_total'), 'Messages that mean nothing where they came.', () => m.ignoredMessages);
  to.counter(name('routed_transactions_total'), 'Transactions passed on to other peers.', () => m.routedTransactions);
  to.counter(
    name('reads_consolidated_total'),
    'Reads that waited for the answer to the same read of another peer or user.',
    () => m.readsConsolidated,
  );
  to.counter(
    name('reads_asked_again_total'),
    'Reads that waited for the answer to another read, got none, and were sent to the node themselves.',
    () => m.readsAskedAgain,
  );
  to.counter(name('routed_dropped_total'), 'Messages for other peers not passed on.', () => m.routedDropped);
  to.counter(name('shell_commands_total'), 'Debug shell commands.', () => m.shellCommands);
  to.counter(name('shell_refused_total'), 'Debug shell commands too long or too many.', () => m.shellRefused);
  to.counter(name('pauses_total'), 'Times that a peer was not read because its destinations lag.', () => m.pauses);
  to.counter(name('probes_sent_total'), 'PINGs sent to find half-dead peers.', () => m.probesSent);
  to.counter(name('commands_stale_total'), 'Commands of topology about something gone.', () => m.commandsStale);
  to.counter(name('internal_errors_total'), 'Faults that cost a connection.', () => m.internalErrors);

  const relay =
    'From when a link and a LNK_CONN for it were there until the first relay of the link was queued, sampled.';
  to.histogram(name('first_relay_seconds'), relay, m.firstRelay);
  const routed = 'From the first message of a routed transaction until both directions had ended, sampled.';
  to.histogram(name('routed_transaction_seconds'), routed, m.routed);
  to.histogram(name('handshake_seconds'), 'How long completed crypto handshakes took.', m.handshake);
}
