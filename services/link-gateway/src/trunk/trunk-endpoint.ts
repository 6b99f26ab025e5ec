import { TRUNK } from '@spanmesh/dmsg/dialect';
import { Endpoint, type EndpointHandler } from '@spanmesh/dmsg/endpoint';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import { MAX_TRUNK_TRANSACTIONS } from './limits.ts';
import { Route } from './route.ts';
import type { TrunkOutbox } from './trunk-outbox.ts';

export interface TrunkEndpointDependencies {
  /** Its window at this moment is what is not on a route is charged to. */
  readonly out: TrunkOutbox;
  readonly handler: EndpointHandler;
  readonly flow: Pick<Flow, 'read' | 'sentInto'>;
}

/** An endpoint that charges what is sent on a route to the route's window, whoever sends it, and has who is read wait for that. */
export function makeTrunkEndpoint(
  { out, handler, flow }: TrunkEndpointDependencies,
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
        const route = on === null ? null : routeOf(on);
        out.window = route === null ? free : route.out;
        if (route !== null && flow.read !== 0) flow.sentInto(route);
      },
    },
  );
}

/** The route that a transaction runs on, at whatever depth, or is; null: none that was taken. */
function routeOf(tx: Transaction): Route | null {
  let at = tx;
  while (at.circuit !== null) at = at.circuit;
  return at.handler instanceof Route ? at.handler : null;
}
