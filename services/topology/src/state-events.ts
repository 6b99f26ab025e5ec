import type { Clock } from '@spanmesh/runtime/clock';
import { type Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { Commander } from './attach/commander.ts';
import type { Graves } from './attach/graves.ts';
import type { Roster } from './attach/roster.ts';
import type { Directory } from './directory/directory.ts';
import type { Drains } from './operate/drains.ts';
import type { History } from './trees/history.ts';
import type { StateEvent } from './trees/tree-events.ts';

/** The same problem is logged at most once in this time, ms. */
const LOG_INTERVAL_MS = 10_000;

export interface StateEventsDependencies {
  readonly history: Pick<History, 'record'>;
  readonly directory: Pick<Directory, 'nodeAdded' | 'linkAdded' | 'reachable'>;
  readonly commander: Pick<Commander, 'probe' | 'linkGone'>;
  readonly drains: Pick<Drains, 'progressed' | 'gatewayGone'>;
  readonly roster: Pick<Roster, 'heard'>;
  readonly graves: Pick<Graves, 'has'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Passes the events of State on to the parts that need them: history, commander, logs and counters. */
export class StateEvents {
  /** Reports of gateways, mostly of peers' messages, that made no sense and were dropped. */
  nonsense = 0;
  readonly #deps: StateEventsDependencies;
  readonly #throttle: Throttle;

  constructor(deps: StateEventsDependencies) {
    this.#deps = deps;
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, deps);
  }

  take(event: StateEvent): void {
    const { history, directory, commander, drains, roster, graves } = this.#deps;
    switch (event.of) {
      case 'node':
        history.record(event);
        if (event.kind === 'added') directory.nodeAdded(event.object.cluster);
        return;
      case 'link':
        history.record(event);
        if (event.kind === 'added') directory.linkAdded(event.object);
        return;
      case 'cluster':
      case 'connection':
      case 'lnkConn':
      case 'relays':
        history.record(event);
        return;
      case 'reachable':
        directory.reachable(event.gateway.id);
        return;
      case 'probe':
        commander.probe(event.connection);
        return;
      case 'linkGone':
        commander.linkGone(event.gateway, event.linkGateway, event.link);
        return;
      case 'named':
        if (!graves.has(event.id)) roster.heard(event.id);
        return;
      case 'drained':
        drains.progressed(event.gateway);
        return;
      case 'gatewayGone':
        drains.gatewayGone(event.gateway);
        return;
      case 'nonsense':
        this.#note(event);
        return;
    }
  }

  #note({ gateway, what, data }: Extract<StateEvent, { of: 'nonsense' }>): void {
    this.nonsense++;
    const { log, suppressed } = this.#throttle.admit(`${gateway.id} ${what}`);
    if (!log) return;
    const of = { gateway: gateway.id, ...data, suppressed };
    this.#deps.logger.warn(of, `${what} from a gateway makes no sense: dropped`);
  }
}
