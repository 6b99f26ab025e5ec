import { randomInt } from 'node:crypto';
import { type Dialect, rulesOf } from '@spanmesh/dmsg/dialect';
import { Endpoint, type EndpointDependencies } from '@spanmesh/dmsg/endpoint';
import { SaltSequence } from '@spanmesh/dmsg/salt';

/** First generations of msgids are below this: V8 keeps a larger number in an object of its own, one a transaction. */
const GENERATIONS = 2 ** 31;

/** Makes the endpoint of a connection with a peer. Its msgids begin where nobody can foresee. */
export function makePeerEndpoint(
  { dialect, maxTransactions }: { readonly dialect: Dialect; readonly maxTransactions: number },
  deps: Pick<EndpointDependencies, 'handler' | 'inSlices' | 'out'>,
): Endpoint {
  return new Endpoint(
    { rules: rulesOf(dialect), maxTransactions, generation: randomInt(GENERATIONS) },
    { ...deps, salts: new SaltSequence() },
  );
}
