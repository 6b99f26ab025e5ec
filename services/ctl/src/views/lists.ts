import {
  ListClustersResponse,
  ListConnectionsResponse,
  ListLinksResponse,
  ListNodesResponse,
  ListRelaysResponse,
} from '@spanmesh/proto/v1/topology';
import { TrafficKind } from '@spanmesh/proto/v1/traffic';
import type { Cluster, Link, Node, Relay } from '@spanmesh/proto/v1/types';
import { clusterIdOf } from '../api/cluster-id.ts';
import { dialectFilter } from '../api/dialect-filter.ts';
import { type Listing, TopologyApi } from '../api/topology-api.ts';
import type { FilterOptions } from '../filter-options.ts';
import type { ListOptions } from '../list-options.ts';
import { protobufJson } from '../output/json.ts';
import { type Listed, printList } from '../output/print-list.ts';
import type { Column } from '../output/table.ts';
import type { Terminal } from '../terminal.ts';
import { CLUSTER_COLUMNS, LINK_COLUMNS, NODE_COLUMNS, RELAY_COLUMNS } from './tables.ts';
import {
  CONNECTION_COLUMNS_WITH_TRAFFIC,
  type ConnectionRow,
  isTrafficColumn,
  missingTraffic,
} from './traffic-columns.ts';

/** The options of a command that prints one list. */
export interface ListQuery {
  readonly filters: FilterOptions;
  readonly options: ListOptions;
}

/** How one kind of list is asked for and printed. */
interface ListKind<T> {
  readonly columns: readonly Column<T>[];
  /** Fetches the list. `needs`: whether a column is shown, or sorted by. */
  fetch(api: TopologyApi, filters: FilterOptions, needs: (column: Column<T>) => boolean): Promise<Listed<T>>;
}

const CLUSTERS: ListKind<Cluster> = {
  columns: CLUSTER_COLUMNS,
  fetch: async (api, { dialect, cluster = '' }) =>
    listed(await api.clusters({ dialect: dialectFilter(dialect), id: cluster }), (clusters, revision) =>
      protobufJson(ListClustersResponse, { clusters, revision, ...LAST_PAGE }),
    ),
};

const NODES: ListKind<Node> = {
  columns: NODE_COLUMNS,
  fetch: async (api, { dialect, cluster = '', node = '' }) =>
    listed(await api.nodes({ dialect: dialectFilter(dialect), clusterId: cluster, node }), (nodes, revision) =>
      protobufJson(ListNodesResponse, { nodes, revision, ...LAST_PAGE }),
    ),
};

const LINKS: ListKind<Link> = {
  columns: LINK_COLUMNS,
  fetch: async (api, { dialect, cluster = '', node = '', connection = '' }) =>
    listed(
      await api.links({ dialect: dialectFilter(dialect), clusterId: cluster, node, connection }),
      (links, revision) => protobufJson(ListLinksResponse, { links, revision, ...LAST_PAGE }),
    ),
};

const CONNECTIONS: ListKind<ConnectionRow> = {
  columns: CONNECTION_COLUMNS_WITH_TRAFFIC,
  fetch: async (api, { dialect, gateway = '' }, needs) => {
    const listing = await api.connections({ dialect: dialectFilter(dialect), gateway });
    const document = (rows: ConnectionRow[], revision: string): unknown => {
      // The JSON document leaves the counters out: `spanmesh top` prints those.
      const connections = rows.map(({ traffic: _, ...connection }) => connection);
      return protobufJson(ListConnectionsResponse, { connections, revision, ...LAST_PAGE });
    };
    if (!CONNECTION_COLUMNS_WITH_TRAFFIC.some((column) => isTrafficColumn(column) && needs(column))) {
      return listed<ConnectionRow>(listing, document);
    }
    const kinds = [TrafficKind.TRAFFIC_KIND_CONNECTION];
    const { items: counters, silentGateways } = await api.traffic({ gateway, kinds });
    const byId = new Map(counters.map((one) => [one.id, one]));
    const items = listing.items.map((connection) => ({ ...connection, traffic: byId.get(connection.id) }));
    const notes = silentGateways.length === 0 ? [] : [missingTraffic(silentGateways)];
    return { ...listed<ConnectionRow>({ ...listing, items }, document), notes };
  },
};

const RELAYS: ListKind<Relay> = {
  columns: RELAY_COLUMNS,
  fetch: async (api, { dialect, cluster = '', node = '', connection = '', link = '' }) => {
    const { items, revision } = await api.relays({ dialect: dialectFilter(dialect), node, connection, link });
    // The API cannot filter relays by cluster.
    const ofCluster = cluster === '' ? items : items.filter((relay) => relay.node?.cluster?.id === cluster);
    return listed({ items: ofCluster, revision }, (relays) =>
      protobufJson(ListRelaysResponse, { relays, revision, ...LAST_PAGE }),
    );
  },
};

/** The type of a page asks for a token, but all pages are there, so the document does not show it. */
const LAST_PAGE = { nextPageToken: '' };

function listed<T>({ items, revision }: Listing<T>, documentOf: (items: T[], revision: string) => unknown): Listed<T> {
  return {
    rows: items,
    document: (rows) => {
      const { nextPageToken: _, ...document } = documentOf([...rows], revision) as { nextPageToken: string };
      return document;
    },
  };
}

const KINDS = { clusters: CLUSTERS, nodes: NODES, links: LINKS, conns: CONNECTIONS, relays: RELAYS };

/** Names of the commands that print a list. */
export type ListName = keyof typeof KINDS;

/**
 * Asks for all pages of a list and prints them.
 * @throws Failure
 */
export function showList(name: ListName, query: ListQuery, terminal: Terminal): Promise<void> {
  // Each kind fits its own rows, which the type of the union cannot express.
  return show(KINDS[name] as ListKind<unknown>, query, terminal);
}

async function show<T>(kind: ListKind<T>, { filters, options }: ListQuery, terminal: Terminal): Promise<void> {
  const api = new TopologyApi(options);
  try {
    const cluster = await clusterIdOf(api, filters.cluster, filters.dialect);
    const exact: FilterOptions = cluster === undefined ? filters : { ...filters, cluster };
    await printList({ columns: kind.columns, fetch: (needs) => kind.fetch(api, exact, needs) }, options, terminal);
  } finally {
    api.close();
  }
}
