import type { StateChangeParts } from '@spanmesh/proto/state-change';
import { type DrainEvent, EventKind } from '@spanmesh/proto/v1/events';
import type { DrainOrder, DrainProgress } from '@spanmesh/proto/v1/gateway_control';
import type { Clock } from '@spanmesh/runtime/clock';
import type { EventTeller } from '@spanmesh/runtime/events/event-teller';
import type { Logger } from '@spanmesh/runtime/log/logger';
import type { Random } from '@spanmesh/runtime/random';
import { CLOSE_LINGER_MS, MAX_DRAINS } from '../limits.ts';
import type { GatewayMetrics } from '../metrics.ts';
import type { LnkConns } from '../peers/lnk-conns.ts';
import type { OpenTables } from '../peers/open-tables.ts';
import type { Peer } from '../peers/peer.ts';
import type { PeerReports } from '../peers/peer-reports.ts';
import type { Relays } from '../peers/relays.ts';
import type { Endings } from '../shares/endings.ts';
import { chooseShare } from './choose-share.ts';
import { Drain, graceOf } from './drain.ts';
import { OrderlyClose } from './orderly-close.ts';
import { Until } from './until.ts';

/** Longest reason of an operator that is kept, in characters. */
const MAX_WHY_CHARS = 256;

/** Clients of the API Messaging: their transactions are waited for before a gateway stops. */
export interface Clients {
  /** Transactions of clients in this process are in progress. */
  readonly isBusy: boolean;
}

/** What topology hears of drains. */
export interface DrainReports extends Pick<PeerReports, 'tell'> {
  drain(progress: DrainProgress): void;
  /** The gateway is going to stop. */
  stopping(): void;
}

export interface DrainsDependencies {
  readonly clock: Clock;
  readonly metrics: Pick<GatewayMetrics, 'commandsStale'>;
  readonly tables: Pick<OpenTables, 'sockets' | 'connections'>;
  readonly reports: DrainReports;
  readonly relays: Pick<Relays, 'closingAllOn'>;
  readonly lnkConns: Pick<LnkConns, 'ending'>;
  readonly endings: Pick<Endings, 'run'>;
  readonly clients: Clients;
  readonly logger: Logger;
  readonly events: EventTeller;
  /** Id of this gateway. */
  readonly gateway: () => string;
  readonly random: Random;
}

/** Closes connections in order: all when the gateway stops; a share of them, or one, by order. */
export class Drains {
  /** How long a drain may take unless its order says so, in milliseconds. */
  readonly #deadlineMs: number;
  readonly #deps: DrainsDependencies;
  readonly #orderly: OrderlyClose;
  /** By id of the order, oldest first. */
  readonly #ordered = new Map<string, Drain>();
  /** The drain of the stop, and the wait for clients; null: the gateway does not stop. */
  #last: { readonly drain: Drain; readonly clients: Until } | null = null;
  #isHurried = false;

  constructor(options: { readonly deadlineMs: number }, deps: DrainsDependencies) {
    this.#deadlineMs = options.deadlineMs;
    this.#deps = deps;
    this.#orderly = new OrderlyClose(deps);
  }

  /** Orders that are known, done or not. */
  get known(): number {
    return this.#ordered.size;
  }

  /** Closes one connection, by order of an operator. */
  close(peer: Peer, why: string): void {
    const { logger } = this.#deps;
    const said = why.slice(0, MAX_WHY_CHARS);
    logger.info({ connection: peer.id, peer: peer.connection.remote, why: said }, 'connection is closed by order');
    this.#orderly.begin(peer, { reason: 'command', why: said, lingerMs: CLOSE_LINGER_MS });
  }

  /** Closes a share of the accepted connections. An order that is known is not begun again. */
  order({ order, sharePermille, deadlineMs }: DrainOrder): void {
    if (this.#ordered.has(order)) {
      this.#report(order);
      return;
    }
    const { metrics, tables, random } = this.#deps;
    if (!this.#makeRoom()) {
      // No correct leader orders more drains than this at a time.
      metrics.commandsStale++;
      return;
    }
    const connections = chooseShare(tables.connections.values(), sharePermille / 1000, random);
    const drain = this.#make(connections, {
      reason: 'drain',
      why: `a share of this gateway's connections is moved (order ${order})`,
      deadlineMs: deadlineMs || this.#deadlineMs,
    });
    this.#ordered.set(order, drain);
    this.#run(drain, { order });
    this.#report(order);
    void drain.done.then(() => this.#report(order));
  }

  /**
   * Closes all connections, and waits for clients' transactions meanwhile. Resolves when no socket is left, at the
   * latest after the stop timeout of the setting.
   */
  async stop(): Promise<void> {
    const { clock, tables, reports, clients } = this.#deps;
    const deadlineMs = this.#deadlineMs;
    const drain = this.#make(tables.sockets, { reason: 'stopping', why: 'this gateway stops', deadlineMs });
    this.#last = { drain, clients: new Until(() => !clients.isBusy, graceOf(deadlineMs), clock) };
    reports.stopping();
    this.#run(drain, {});
    if (this.#isHurried) this.hurry();
    await Promise.all([drain.done, this.#last.clients.done]);
  }

  /** The stop is to be quick, whether it has begun or begins later. */
  hurry(): void {
    this.#isHurried = true;
    this.#last?.clients.hurry();
    this.#last?.drain.hurry();
  }

  /** A connection's socket has closed. */
  gone(peer: Peer): void {
    for (const [order, drain] of this.#ordered) if (drain.gone(peer)) this.#report(order);
    this.#last?.drain.gone(peer);
  }

  /** Puts into a snapshot the drains by order, and whether the gateway stops. */
  cut(parts: StateChangeParts): void {
    parts.stopping(this.#last !== null);
    for (const [order, drain] of this.#ordered) parts.put('drains', progress(order, drain));
  }

  #make(peers: Iterable<Peer>, options: ConstructorParameters<typeof Drain>[1]): Drain {
    return new Drain(peers, options, { clock: this.#deps.clock, orderly: this.#orderly });
  }

  #run(drain: Drain, what: { readonly order?: string }): void {
    const { logger } = this.#deps;
    const { chosen: connections, busy } = drain;
    // The stop of a gateway that had no peers, or never came up, is not worth a line.
    const level = what.order === undefined && connections === 0 ? 'debug' : 'info';
    logger[level]({ ...what, connections, busy }, 'drain begins: connections are closed in order, busy ones last');
    this.#tell(what.order, drain, { done: false, level });
    drain.start();
    void drain.done.then(() => {
      const { closed, cut } = drain;
      logger[level]({ ...what, closed, cut, tookMs: Math.round(drain.tookMs) }, 'drain is done');
      this.#tell(what.order, drain, { done: true, level });
    });
  }

  #tell(order = '', { chosen, closed, cut }: Drain, { done, level }: { done: boolean; level: 'debug' | 'info' }): void {
    // A drain that is not worth a line in the log is no event either.
    if (level === 'debug') return;
    const subject = this.#deps.gateway();
    const drain: DrainEvent = { order, done, chosen, closed, cut };
    this.#deps.events.tell(
      { kind: EventKind.EVENT_KIND_DRAIN, subject, principal: subject, drain },
      { isLogged: true },
    );
  }

  #makeRoom(): boolean {
    if (this.#ordered.size < MAX_DRAINS) return true;
    for (const [order, drain] of this.#ordered) {
      if (!isDone(drain)) continue;
      this.#ordered.delete(order);
      return true;
    }
    return false;
  }

  #report(order: string): void {
    const drain = this.#ordered.get(order);
    if (drain !== undefined) this.#deps.reports.drain(progress(order, drain));
  }
}

function isDone({ chosen, closed, cut }: Drain): boolean {
  return closed + cut === chosen;
}

function progress(order: string, drain: Drain): DrainProgress {
  const { chosen, closed, cut } = drain;
  return { order, chosen, closed, cut, done: isDone(drain) };
}
