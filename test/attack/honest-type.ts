import { PEER } from '../peer/payloads.ts';

/** Type of the spans that honest peers give and ask for; those of attackers are mostly others: what honest peers read costs them, too. */
export const HONEST_TYPE = { linkid: PEER.HAMMER2, circuit: 5 } as const;
