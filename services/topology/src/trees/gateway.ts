import type { LnkConn as LnkConnPayload } from '@spanmesh/dmsg/payload/lnk-conn';
import { gatewayId } from '@spanmesh/proto/gateway-id';
import type { ConnectionOpened, DrainProgress } from '@spanmesh/proto/v1/gateway_control';
import type { GatewayId } from '@spanmesh/spantree/ids';
import type { Cluster, Connection, Link, LnkConn } from '@spanmesh/spantree/tree';
import { InFlight } from './in-flight.ts';
import type { KnownLinks } from './known-links.ts';

/** Topology's data of a connection of the tree (`connection.data`). */
export interface ConnectionData {
  readonly gateway: Gateway;
  /** What its gateway has said of it last. */
  opened: ConnectionOpened;
}

/** Topology's data of a LNK_CONN of the tree (`lnkConn.data`). */
export interface LnkConnData {
  readonly gateway: Gateway;
  readonly payload: LnkConnPayload;
  /** Links that the gateway relays on demand to this LNK_CONN (linkid return paths), by its own decision. */
  onDemand: Set<Link> | undefined;
}

/** Topology's data of a link of the tree (`link.data`). */
export interface LinkData {
  readonly gateway: Gateway;
  /** Payload of the LNK_SPAN as received, in memory of its own. */
  readonly payload: Buffer;
  readonly msgidLo: number;
  readonly msgidHi: number;
  /** When the link was opened by its gateway's clock, in microseconds since 1970; for display. */
  readonly sinceUs: number;
  /** Status of the LNK_SPAN, or of the last status message. */
  status: number;
  /** LNK_CONNs that the link is relayed to on demand. */
  onDemand: Set<LnkConn> | undefined;
}

export function connectionData(connection: Connection): ConnectionData {
  return connection.data as ConnectionData;
}

export function lnkConnData(lnkConn: LnkConn): LnkConnData {
  return lnkConn.data as LnkConnData;
}

export function linkData(link: Link): LinkData {
  return link.data as LinkData;
}

/**
 * Whether the relay is selected but not open, because the LNK_CONN's gateway withholds it (Gateway.withheld). A relay
 * on demand is open all the same.
 */
export function isWithheld(link: Link, lnkConn: LnkConn): boolean {
  const { gateway } = lnkConnData(lnkConn);
  if (gateway.withheld.size === 0) return false;
  const data = linkData(link);
  if (data.gateway === gateway || data.onDemand?.has(lnkConn) === true) return false;
  return gateway.withheld.has(connectionData(link.connection).opened.principal);
}

/** Relays of one link on one gateway's LNK_CONNs (numbers): the unit of commands and of history. */
export interface RelayGroup {
  readonly link: Link;
  /** The gateway of the LNK_CONNs. */
  readonly gateway: Gateway;
  readonly open: number[];
  readonly close: number[];
}

/** One boot of a link-gateway, and the objects that it reports as open, by its own numbers. Only State changes it. */
export class Gateway {
  /** `<name>.<boot>` */
  readonly id: GatewayId;
  readonly name: string;
  readonly boot: string;
  serviceAddress: string;
  version: string;
  /** The gateway's number in the journal; Trees gives each number once. */
  number = 0;
  readonly connections: Map<number, Connection> = new Map();
  readonly lnkConns: Map<number, LnkConn> = new Map();
  readonly links: Map<number, Link> = new Map();
  /** Ids of the gateways to which it has trunks; only while it is attached. */
  established: ReadonlySet<string> = new Set();
  /**
   * Principals (of connections) whose links at other gateways this gateway does not relay, although relays of them are
   * selected. Changed by Trees only.
   */
  withheld: ReadonlySet<string> = new Set();
  /** Links of other gateways that this gateway knows; only while it is attached. */
  knows: KnownLinks | undefined = undefined;
  /** The highest number that it has given to an object, as far as it has reported. */
  lastNumber = 0;
  /**
   * Commands that the gateway may not have obeyed yet. Recorded only while it is attached, kept until its next
   * snapshot.
   */
  readonly inFlight: InFlight = new InFlight();
  /** Relays on its LNK_CONNs (numbers) that peers have refused, as far as this leader knows. */
  readonly refused: Map<Link, Set<number>> = new Map();
  /** Clusters that its clients hold, by their key as text. Changed by ClusterHolds only. */
  readonly held: Map<string, Cluster> = new Map();
  /** A complete snapshot of the gateway has come at least once. */
  known = false;
  /** The gateway has a stream to the leader, and its snapshot was applied. */
  attached = false;
  /**
   * Selection opens and closes relays on the gateway; otherwise they are left as they are. Implies `attached`. Only
   * Trees changes it.
   */
  commanded = false;
  /** The gateway was removed. Gateways that know its links are told that the gateway is gone, not that each link is. */
  gone = false;
  /** The gateway is going to stop and takes no more connections. */
  draining = false;
  /** Names of its capabilities beyond the protocol's version (gateway_control.proto, Hello). */
  capabilities: ReadonlySet<string> = new Set();
  /** The progress of the drains that it has reported, by order. */
  readonly drains: Map<string, DrainProgress> = new Map();
  /** The relays that the flush in progress groups for this gateway. */
  group: RelayGroup | undefined = undefined;

  constructor(name: string, boot: string, serviceAddress: string, version: string) {
    this.id = gatewayId({ name, boot });
    this.name = name;
    this.boot = boot;
    this.serviceAddress = serviceAddress;
    this.version = version;
  }
}
