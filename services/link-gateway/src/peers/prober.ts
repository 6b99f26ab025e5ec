import { LNK_PING } from '@spanmesh/dmsg/command';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import type { GatewayMetrics } from '../metrics.ts';
import type { GatewayOptions } from '../settings.ts';
import type { OpenTables } from './open-tables.ts';
import type { Peer } from './peer.ts';

/** Shortest interval between two sweeps for idle connections, milliseconds. */
const MIN_SWEEP_MS = 50;

export interface ProberDependencies {
  readonly options: Pick<GatewayOptions, 'idleProbe' | 'probeTimeout'>;
  readonly clock: Clock;
  readonly metrics: GatewayMetrics;
  readonly tables: Pick<OpenTables, 'connections'>;
}

/**
 * Finds half-dead peers (architecture.md, "Half-dead peers"). A PING asks for a sign of life; any byte counts as one.
 * Only a peer that has answered a PING before is closed for sending nothing: protocol.md knows no keep-alive, a quiet
 * link is a good link.
 */
export class Prober {
  readonly #deps: ProberDependencies;
  #sweep: Timer | null = null;

  constructor(deps: ProberDependencies) {
    this.#deps = deps;
  }

  /** Starts the idle probe, if the setting turns it on. */
  start(): void {
    const { idleProbe, probeTimeout } = this.#deps.options;
    if (idleProbe === 0) return;
    const every = Math.max(MIN_SWEEP_MS, Math.min(idleProbe, probeTimeout) / 2);
    const again = () => {
      this.#idle();
      this.#sweep = this.#deps.clock.after(every, again);
    };
    this.#sweep = this.#deps.clock.after(every, again);
  }

  stop(): void {
    this.#sweep?.cancel();
    this.#sweep = null;
  }

  /**
   * Topology's command: the same peer seems to have come on a second connection. Makes this one suspect until a byte
   * comes, and sends a PING.
   */
  probe(peer: Peer): void {
    const { connection, liveness } = peer;
    if (!connection.isOpen || liveness.isSuspect) return;
    liveness.suspect();
    this.#ping(peer);
    const { pingedAt } = liveness;
    this.#deps.clock.after(this.#deps.options.probeTimeout, () => {
      if (liveness.isSuspect && liveness.pingedAt === pingedAt && liveness.answersPings && !connection.isPaused)
        connection.close('half-dead');
    });
  }

  #idle(): void {
    const { tables, clock, options } = this.#deps;
    const now = clock.now();
    for (const peer of tables.connections.values()) {
      const { connection, liveness } = peer;
      // A connection that we do not read ourselves proves nothing by its silence.
      if (connection.isPaused) continue;
      const { heardAt } = connection;
      const { pingedAt } = liveness;
      if (pingedAt <= heardAt) {
        if (now - heardAt >= options.idleProbe) this.#ping(peer);
      } else if (liveness.answersPings && now - pingedAt >= options.probeTimeout) {
        connection.close('half-dead');
      } else if (now - pingedAt >= options.idleProbe) {
        this.#ping(peer);
      }
    }
  }

  #ping({ connection, liveness }: Peer): void {
    liveness.pinged(this.#deps.clock.now());
    this.#deps.metrics.probesSent++;
    connection.endpoint?.oneWay(LNK_PING);
  }
}
