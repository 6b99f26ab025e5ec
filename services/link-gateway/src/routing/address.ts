import type { LinkAddress } from '@spanmesh/dmsg/transaction';
import type { Link, Relay } from '../peers/peer.ts';

/**
 * linkid: the source and target of messages on the link's connection. The source is the relay of the sender's span
 * there, the target is the link.
 */
export function addressOf(back: Relay, link: Link): LinkAddress {
  const source = back.tx!;
  const target = link.tx;
  return {
    sourceLo: source.msgidLo | 0,
    sourceHi: source.msgidHi | 0,
    targetLo: target.msgidLo | 0,
    targetHi: target.msgidHi | 0,
  };
}
