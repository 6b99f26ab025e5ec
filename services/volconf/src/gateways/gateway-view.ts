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
  /** Those whose watch stands: new connections go there. */
  live(): Iterable<LiveGateway>;
  /** One that exists, whether its watch stands or not; null: it is gone, and with it all that it held. */
  port(key: GatewayKey): GatewayPort | null;
}
