import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { GatewayMetrics } from '../metrics.ts';
import { abort } from './abort.ts';
import type { LocalClients } from './local-clients.ts';
import type { RemoteLinkKey, RouteEnd } from './trunks.ts';

export interface ArrivedAtClientsDependencies {
  readonly clients: LocalClients;
  readonly metrics: Pick<GatewayMetrics, 'routedDropped'>;
  /** Called once, when the route has ended. */
  readonly ended: (route: ArrivedAtClients) => void;
}

/** linkid: a route that another gateway has opened to this gateway's own span, which stands for its clients. */
export class ArrivedAtClients implements RouteEnd {
  /** The sender's link, on the other gateway. */
  readonly #sender: RemoteLinkKey;
  readonly #deps: ArrivedAtClientsDependencies;

  constructor(sender: RemoteLinkKey, deps: ArrivedAtClientsDependencies) {
    this.#sender = sender;
    this.#deps = deps;
  }

  opened(tx: Transaction, frame: Frame): void {
    if (this.#deps.clients.opened(this.#sender, tx, frame)) return;
    this.#deps.metrics.routedDropped++;
    abort(tx);
  }

  heard(frame: Frame): void {
    if (!this.#deps.clients.oneWay(this.#sender, frame)) this.#deps.metrics.routedDropped++;
  }

  gone(): void {
    this.#deps.ended(this);
  }
}
