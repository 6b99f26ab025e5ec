import type { GatewayKey } from '@spanmesh/spantree/ids';
import type { GatewayPort } from './gateway-port.ts';

/** A gateway that can be ordered from. */
export interface LiveGateway {
  /** What its orders and connections are known by (`GatewayLink.key`). */
  readonly key: GatewayKey;
  readonly name: string;
  readonly port: GatewayPort;
}

/** The gateways, as the reconciler sees them. */
export interface GatewayView {
  /** Gateways whose watch is live: new connections go there. */
  live(): Iterable<LiveGateway>;
  /** The way to a gateway that exists, watched or not; null: it is gone, and all its connections with it. */
  port(key: GatewayKey): GatewayPort | null;
}
