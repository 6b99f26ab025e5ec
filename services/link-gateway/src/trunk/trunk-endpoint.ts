import { TRUNK } from '@spanmesh/dmsg/dialect';
import { Endpoint, type EndpointHandler } from '@spanmesh/dmsg/endpoint';
import type { EndingJob } from '@spanmesh/dmsg/transaction';
import { MAX_TRUNK_TRANSACTIONS } from './limits.ts';
import type { TrunkOutbox } from './trunk-outbox.ts';

export interface TrunkEndpointDependencies {
  /** The outbox. Its window at the time of the call is the one for messages that are not on a route. */
  readonly out: TrunkOutbox;
  readonly handler: EndpointHandler;
  readonly inSlices: (job: EndingJob) => void;
}

/**
 * Makes an endpoint that tells a route before each message sent on it, at any depth, so that the message is charged to
 * the route's window.
 */
export function makeTrunkEndpoint(
  { out, handler, inSlices }: TrunkEndpointDependencies,
  maxTransactions: number = MAX_TRUNK_TRANSACTIONS,
): Endpoint {
  const free = out.window;
  return new Endpoint(
    // Past the limit the other side would end the trunk, and all transactions with it. So a transaction past it is
    // refused here.
    { rules: TRUNK, maxTransactions, maxOpen: maxTransactions },
    {
      out,
      handler,
      inSlices,
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
