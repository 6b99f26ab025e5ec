import type { LinkAddress } from '@spanmesh/dmsg/transaction';
import type { Link, Relay } from '../peers/peer.ts';

/** From the relay that stands for the sender to the link, on the link's connection. */
export function addressOf(back: Relay, link: Link): LinkAddress {
  const source = back.tx!;
  const target = link.tx;
  return {
    sourceLo: source.msgidLo,
    sourceHi: source.msgidHi,
    targetLo: target.msgidLo,
    targetHi: target.msgidHi,
  };
}
