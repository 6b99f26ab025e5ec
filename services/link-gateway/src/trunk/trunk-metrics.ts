import type { Metrics } from '@spanmesh/runtime/metrics';

/** Why a trunk ended. */
export const TRUNK_LOSS_REASONS = [
  'peer-closed',
  'socket-error',
  'silent',
  'protocol-error',
  'internal',
  'stalled',
  'queue-limit',
  'replaced',
  'not-opened',
  'gone',
  'renamed',
  'stopping',
] as const;
export type TrunkLossReason = (typeof TRUNK_LOSS_REASONS)[number];

/** Counters of a gateway's trunks: plain numbers, read when they are scraped. */
export class TrunkMetrics {
  /** Trunks that are established. */
  established = 0;
  routes = 0;
  opened = 0;
  readonly lost: Record<TrunkLossReason, number>;
  bytesIn = 0;
  bytesOut = 0;
  messagesIn = 0;
  messagesOut = 0;
  /** How often a sender was paused because a window was used up. */
  creditWaits = 0;
  creditsSent = 0;
  /** Connections without a good token. */
  tokensRefused = 0;
  routesRefused = 0;
  /** Routes refused because the other gateway could not be reached. */
  routesUnreachable = 0;
  /** Messages that are unknown or malformed. */
  ignoredMessages = 0;

  constructor() {
    this.lost = Object.fromEntries(TRUNK_LOSS_REASONS.map((reason) => [reason, 0])) as Record<TrunkLossReason, number>;
  }
}

/** Registers the counters as metrics. */
export function registerTrunkMetrics(to: Metrics, m: TrunkMetrics): void {
  const name = (what: string) => `spanmesh_gateway_trunk_${what}`;
  to.gauge(name('established'), 'Established trunks to other gateways.', () => m.established);
  to.gauge(name('routes'), 'Route transactions open on trunks.', () => m.routes);
  to.counter(name('opened_total'), 'Trunks that were established.', () => m.opened);
  to.counter(name('lost_total'), 'Trunks that ended, or could not be opened.', () => m.lost, 'reason');
  to.counter(name('received_bytes_total'), 'Bytes from other gateways.', () => m.bytesIn);
  to.counter(name('sent_bytes_total'), 'Bytes handed to the sockets of trunks.', () => m.bytesOut);
  to.counter(name('received_messages_total'), 'Messages from other gateways.', () => m.messagesIn);
  to.counter(name('sent_messages_total'), 'Messages to other gateways.', () => m.messagesOut);
  to.counter(name('credit_waits_total'), 'Senders held up because a window was used up.', () => m.creditWaits);
  to.counter(name('credits_sent_total'), 'Credits returned to other gateways.', () => m.creditsSent);
  to.counter(
    name('tokens_refused_total'),
    'Connections to the trunk port without a good token.',
    () => m.tokensRefused,
  );
  to.counter(name('routes_refused_total'), 'Routes to links that are gone.', () => m.routesRefused);
  to.counter(name('routes_unreachable_total'), 'Routes to gateways out of reach.', () => m.routesUnreachable);
  to.counter(name('ignored_messages_total'), 'Messages that mean nothing where they came.', () => m.ignoredMessages);
}
