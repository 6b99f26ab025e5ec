import { LNK_PING } from '@spanmesh/dmsg/command';
import type { Timer } from '@spanmesh/runtime/clock';
import type { Connection } from '../connection/connection.ts';
import type { Core } from '../core.ts';

/** Finest step of the idle sweep, in milliseconds. */
const MIN_SWEEP_MS = 50;

/**
 * Finds half-dead peers (architecture.md, "Half-dead peers"). A PING asks for a sign of life; any byte is one. Only a peer
 * that has once answered a PING is closed for sending nothing: protocol.md knows no keep-alive, a quiet link is a good link.
 */
export class Prober {
  readonly #core: Core;
  #sweep: Timer | null = null;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Starts the idle probe, if it is on. */
  start(): void {
    const { idleProbe, probeTimeout } = this.#core.options;
    if (idleProbe === 0) return;
    const every = Math.max(MIN_SWEEP_MS, Math.min(idleProbe, probeTimeout) / 2);
    const again = () => {
      this.#idle();
      this.#sweep = this.#core.clock.after(every, again);
    };
    this.#sweep = this.#core.clock.after(every, again);
  }

  stop(): void {
    this.#sweep?.cancel();
    this.#sweep = null;
  }

  /** By command: a second connection of the same peer has come. Suspect until a byte comes. */
  probe(connection: Connection): void {
    if (!connection.isOpen || connection.suspect) return;
    connection.suspect = true;
    this.#ping(connection);
    const { pingedAt } = connection;
    this.#core.clock.after(this.#core.options.probeTimeout, () => {
      if (connection.suspect && connection.pingedAt === pingedAt && connection.answersPings && !connection.isPaused)
        connection.close('half-dead');
    });
  }

  #idle(): void {
    const { tables, clock, options } = this.#core;
    const now = clock.now();
    for (const connection of tables.connections.values()) {
      // What we do not read proves nothing.
      if (connection.isPaused) continue;
      const { pingedAt, heardAt } = connection;
      if (pingedAt <= heardAt) {
        if (now - heardAt >= options.idleProbe) this.#ping(connection);
      } else if (connection.answersPings && now - pingedAt >= options.probeTimeout) {
        connection.close('half-dead');
      } else if (now - pingedAt >= options.idleProbe) {
        this.#ping(connection);
      }
    }
  }

  #ping(connection: Connection): void {
    connection.pingedAt = this.#core.clock.now();
    connection.pingOpen = true;
    this.#core.metrics.probesSent++;
    connection.endpoint?.oneWay(LNK_PING);
  }
}
