import type { ConnId, LinkId } from '@spanmesh/spantree/ids';
import type { Drain } from './credit.ts';

/** This gateway's own links and connections, as the trunks need to know them. */
export interface LocalDestinations {
  /** Number of the connection of a link of this gateway; 0: the link is gone, or on none. */
  connectionOfLink(link: LinkId): ConnId;
  /** Where bytes for this connection wait; null: it is gone. */
  pressureOfConnection(connection: ConnId): Drain | null;
}
