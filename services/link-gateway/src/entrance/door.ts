import { BlockList } from 'node:net';
import type { Core } from '../core.ts';
import { peerAddress } from './admission.ts';
import { refuse } from './adopt.ts';

/**
 * Turns those away who would be refused, before there is a socket for them: Node asks `blockList` of a server as soon as it knows the
 * address, and closes the bare handle. In a flood that is most of what a refusal costs. Only a short cut: whoever gets past it
 * (on a Node that does not ask, too) is decided upon as everybody is.
 */
export class Door extends BlockList {
  readonly #core: Core;

  constructor(core: Core) {
    super();
    this.#core = core;
  }

  /** Not taken; counted, and logged once an interval. */
  override check(address: unknown): boolean {
    const host = peerAddress(String(address));
    const { admission, proxied } = this.#core.entrance;
    // Whose connection a balancer's is shows in its header only.
    if (proxied.trusts(host)) return false;
    const refused = admission.look(host);
    if (refused.kind !== 'refused') return false;
    refuse(this.#core, { host, port: 0 }, refused);
    return true;
  }
}
