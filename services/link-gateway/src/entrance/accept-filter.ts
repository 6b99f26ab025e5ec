import { BlockList } from 'node:net';
import { peerAddress } from '../address/peer-address.ts';
import { type EntryDependencies, refuse } from './upgrade.ts';

export type AcceptFilterDependencies = Omit<EntryDependencies, 'peers'>;

/**
 * Refuses connections before there is a socket for them: Node asks the `blockList` of a server as soon as it knows the
 * peer's address, and closes the bare handle. In a flood the socket would be most of what a refusal costs. Only an
 * optimisation: a connection that gets past it (on a Node that does not ask, too) is checked by Admission like any
 * other.
 */
export class AcceptFilter extends BlockList {
  readonly #deps: AcceptFilterDependencies;

  constructor(deps: AcceptFilterDependencies) {
    super();
    this.#deps = deps;
  }

  /** True: the address is refused. The refusal is counted, and logged once an interval. */
  override check(address: unknown): boolean {
    const host = peerAddress(String(address));
    const { admission, proxied } = this.#deps.entrance;
    // Which peer is behind a balancer shows in the PROXY header only.
    if (proxied.trusts(host)) return false;
    const refused = admission.look(host);
    if (refused.kind !== 'refused') return false;
    refuse(this.#deps, { host, port: 0 }, refused);
    return true;
  }
}
