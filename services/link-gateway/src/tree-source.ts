import type { TopologyClient } from '@spanmesh/proto/v1/topology';
import type { TreeSource } from './shell.ts';

/** The trees from topology's API; `client` is asked for each call, null: it is not up yet. */
export function treeSourceOf(client: () => TopologyClient | null): TreeSource {
  return (request, signal) => {
    const api = client();
    if (api === null) throw new Error('the API is not up yet');
    const call = api.getTree(request);
    signal.addEventListener('abort', () => call.cancel(), { once: true });
    return call;
  };
}
