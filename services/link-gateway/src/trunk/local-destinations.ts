import type { ConnId, LinkId } from '@spanmesh/spantree/ids';
import type { Drain } from './credit.ts';

/** This gateway's own links and connections, for the trunks. */
export interface LocalDestinations {
  /** Number of the connection of a link of this gateway; 0: the link is gone, or belongs to no connection. */
  connectionOfLink(link: LinkId): ConnId;
  /** The send queue of this connection, as a Drain; null: the connection is gone. */
  pressureOfConnection(connection: ConnId): Drain | null;
}
