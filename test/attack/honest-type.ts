import { PEER } from '../peer/payloads.ts';

/**
 * peer_type of the spans that honest peers offer and ask for. Most attackers use others, because reading an attacker's
 * relays would cost the honest peers' own process time, too.
 */
export const HONEST_TYPE = { linkid: PEER.HAMMER2, circuit: 5 } as const;
/** Of the span that is asked over the trunk. */
export const OVER_TRUNK = { peerType: 6, firstNode: 0xb80 } as const;
