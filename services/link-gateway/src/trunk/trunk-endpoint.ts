import { TRUNK } from '@spanmesh/dmsg/dialect';
import { Endpoint, type EndpointHandler } from '@spanmesh/dmsg/endpoint';
import { MAX_TRUNK_TRANSACTIONS } from './limits.ts';
import type { TrunkOutbox } from './trunk-outbox.ts';

export interface TrunkEndpointDependencies {
  /** Its window at this moment is what is not on a route is charged to. */
  readonly out: TrunkOutbox;
  readonly handler: EndpointHandler;
}

/** An endpoint that tells a route of everything that is sent on it, at whatever depth: it is charged to the route's window. */
export function makeTrunkEndpoint(
  { out, handler }: TrunkEndpointDependencies,
  maxTransactions: number = MAX_TRUNK_TRANSACTIONS,
): Endpoint {
  const free = out.window;
  return new Endpoint(
    // Beyond the limit the other side would end the trunk, and with it everybody's transactions: they are refused here, one by one.
    { rules: TRUNK, maxTransactions, maxOpen: maxTransactions },
    {
      out,
      handler,
      salts: out,
      sending: (on) => {
        out.window = free;
        if (on === null) return;
        let root = on;
        while (root.circuit !== null) root = root.circuit;
        root.handler.onSending?.();
      },
    },
  );
}
