import { encodeLnkConn, lnkConnBytes } from '@spanmesh/dmsg/payload/lnk-conn';
import { decodeLnkSpanPayload } from '@spanmesh/dmsg/payload/lnk-span';
import type { ReplicatedGateway, TreeChange } from '@spanmesh/proto/v1/replication';
import type { Cluster, Connection, Link, LnkConn, Node, Reader } from '@spanmesh/spantree/tree';
import { connectionData, type Gateway, linkData, lnkConnData } from '../trees/gateway.ts';
import { showClusterKey } from '../trees/show-ids.ts';
import { relaySet, type Trees } from '../trees/trees.ts';

/** The changeable fields of a link, copied before they change. */
interface LinkBefore {
  readonly status: number;
  /** Which relays of it are open, and which were refused. */
  readonly relays: readonly TreeChange[];
}

/** A gateway and its objects at the moment of the snapshot. */
interface GatewayMoment {
  readonly put: ReplicatedGateway;
  readonly number: number;
  readonly unreachable: readonly string[];
  readonly withheld: readonly string[];
  readonly connections: readonly ConnectionMoment[];
  readonly lnkConns: readonly LnkConn[];
  readonly links: readonly Link[];
  readonly held: readonly Cluster[];
}

/** A connection with its changeable fields at the moment of the snapshot. */
interface ConnectionMoment {
  readonly connection: Connection;
  readonly suspect: boolean;
  readonly closing: string;
}

/**
 * The trees at the moment when this object is made, as changes that would build them from empty trees. They are read
 * over many turns: the list of objects is copied at once, the changeable fields of a link only when they are about to
 * change. Close it after use.
 */
export class TreesSnapshot implements Reader {
  readonly #gateways: readonly GatewayMoment[];
  readonly #before = new Map<Link, LinkBefore>();
  readonly #copied = new Set<Node>();
  readonly #end: () => void;

  constructor({ gateways, tree }: Trees) {
    this.#gateways = [...gateways.values()].map((gateway) => momentOf(gateway, tree.unreachableFrom(gateway.id)));
    this.#end = tree.read(this);
  }

  close(): void {
    this.#end();
    this.#before.clear();
    this.#copied.clear();
  }

  changing(_cluster: Cluster, node: Node | undefined): void {
    if (node === undefined || this.#copied.has(node)) return;
    this.#copied.add(node);
    for (const link of node.links) {
      this.#before.set(link, { status: linkData(link).status, relays: [...relaysOf(link)] });
    }
  }

  *changes(): Iterable<TreeChange> {
    for (const { number, put } of this.#gateways) yield { gateway: number, gatewayPut: put };
    for (const gateway of this.#gateways) yield* this.#openOn(gateway);
    // Links of all gateways come first, because a relay may be of any of them.
    for (const { links } of this.#gateways) {
      for (const link of links) yield* this.#before.get(link)?.relays ?? relaysOf(link);
    }
  }

  *#openOn({ number, unreachable, withheld, connections, lnkConns, links, held }: GatewayMoment): Iterable<TreeChange> {
    if (unreachable.length > 0) {
      yield { gateway: number, trunks: { established: [], unreachable: [...unreachable] } };
    }
    if (withheld.length > 0) yield { gateway: number, withheld: { principals: [...withheld] } };
    for (const { connection, suspect, closing } of connections) {
      const { opened } = connectionData(connection);
      yield { gateway: number, connectionOpened: { ...opened, suspect, closing } };
    }
    for (const { id, connection, data } of lnkConns) {
      const { payload } = data as ReturnType<typeof lnkConnData>;
      const bytes = Buffer.alloc(lnkConnBytes(payload.dialect));
      encodeLnkConn(payload, bytes, 0);
      yield { gateway: number, lnkConnOpened: { id, connection: connection.id, payload: bytes } };
    }
    for (const link of links) {
      const { id, connection, span } = link;
      const { payload, msgidLo, msgidHi, sinceUs } = linkData(link);
      const { stamp } = span;
      const opened = { id, connection: connection.id, payload, stamp, msgidLo, msgidHi, sinceUs };
      yield { gateway: number, linkOpened: opened };
      const { status } = this.#before.get(link) ?? linkData(link);
      if (decodeLnkSpanPayload(span.dialect, payload, 0).status !== status) {
        yield { gateway: number, linkStatus: { link: id, status } };
      }
    }
    for (const cluster of held) yield { gateway: number, clusterHeld: showClusterKey(cluster) };
  }
}

function momentOf(gateway: Gateway, unreachable: Iterable<string>): GatewayMoment {
  const { name, boot, serviceAddress, version, attached, draining, commanded, number } = gateway;
  return {
    put: { name, boot, serviceAddress, version, attached, draining, commanded },
    number,
    unreachable: [...unreachable],
    withheld: [...gateway.withheld],
    connections: Array.from(gateway.connections.values(), (connection) => ({
      connection,
      suspect: connection.suspect,
      closing: connectionData(connection).opened.closing,
    })),
    lnkConns: [...gateway.lnkConns.values()],
    links: [...gateway.links.values()],
    held: [...gateway.held.values()],
  };
}

/** The changes that make a link's relays: selected ones, refusals, and relays on demand. */
function* relaysOf(link: Link): Iterable<TreeChange> {
  for (const [gateway, ids] of byGateway(link.relays)) {
    yield { gateway: gateway.number, relaysAdopted: relaySet(gateway, link, ids) };
  }
  for (const [gateway, ids] of byGateway(link.refusals())) {
    yield { gateway: gateway.number, refusalsAdopted: relaySet(gateway, link, ids) };
  }
  for (const [gateway, ids] of byGateway(linkData(link).onDemand ?? [])) {
    yield { gateway: gateway.number, onDemandOpened: relaySet(gateway, link, ids) };
  }
}

function byGateway(lnkConns: Iterable<LnkConn>): Map<Gateway, number[]> {
  const grouped = new Map<Gateway, number[]>();
  for (const lnkConn of lnkConns) {
    const { gateway } = lnkConnData(lnkConn);
    const ids = grouped.get(gateway);
    if (ids === undefined) grouped.set(gateway, [lnkConn.id]);
    else ids.push(lnkConn.id);
  }
  return grouped;
}
