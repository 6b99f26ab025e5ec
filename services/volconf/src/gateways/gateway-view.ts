import type { GatewayKey } from '@spanmesh/spantree/ids';
import type { GatewayPort } from './gateway-port.ts';

/** A gateway that can receive orders. */
export interface LiveGateway {
  /** Identifies the gateway in orders and connections (`GatewayLink.key`). */
  readonly key: GatewayKey;
  readonly name: string;
  readonly port: GatewayPort;
}

/** The gateways, as the reconciler sees them. */
export interface GatewayView {
  /** Gateways whose watch is live: new connections go there. */
  live(): Iterable<LiveGateway>;
  /** The port to a gateway that exists, watched or not; null: the gateway is gone, with all its connections. */
  port(key: GatewayKey): GatewayPort | null;
}
