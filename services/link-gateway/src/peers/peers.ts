import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { ConnectionStart } from '../connection/connection-start.ts';
import type { Peer } from './peer.ts';
import { PeerLife, type PeerLifeDependencies } from './peer-life.ts';

/** Makes connected sockets peers. */
export class Peers {
  readonly #deps: PeerLifeDependencies;

  constructor(deps: PeerLifeDependencies) {
    this.#deps = deps;
  }

  /**
   * Takes over a connected socket and begins to read it. `dialect`: null if the peer's first messages tell it; `first`:
   * bytes of the stream that have been read already.
   */
  connect(start: Omit<ConnectionStart, 'id'>, dialect: Dialect | null, first: Uint8Array | null): Peer {
    const { peer } = new PeerLife(start, this.#deps);
    peer.connection.begin(dialect, first);
    return peer;
  }
}
