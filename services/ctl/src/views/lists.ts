import {
  ListClustersResponse,
  ListConnectionsResponse,
  ListLinksResponse,
  ListNodesResponse,
  ListRelaysResponse,
} from '@spanmesh/proto/v1/topology';
import { TrafficKind } from '@spanmesh/proto/v1/traffic';
import { dialectFilter } from '../api/dialect-filter.ts';
import { type Listing, TopologyApi } from '../api/topology-api.ts';
import type { ApiOptions } from '../api-options.ts';
import type { FilterOptions } from '../filter-options.ts';
import { protobufJson, writeJson } from '../output/json.ts';
import { paintFor } from '../output/paint.ts';
import { type Column, renderTable } from '../output/table.ts';
import { note, type Terminal, write } from '../terminal.ts';
import { CLUSTER_COLUMNS, CONNECTION_COLUMNS, LINK_COLUMNS, NODE_COLUMNS, RELAY_COLUMNS } from './tables.ts';
import { connectionColumnsWith, missingTraffic } from './traffic-columns.ts';

/** What the commands that print one list have typed. */
export interface ListQuery {
  readonly filters: FilterOptions;
  readonly options: ApiOptions;
}

/** A wide list. */
interface Wide<T> {
  readonly columns: readonly Column<T>[];
  /** Gateways whose part of it is missing. */
  readonly silentGateways: readonly string[];
}

/** How one kind of list is asked for and printed. */
interface ListKind<T> {
  fetch(api: TopologyApi, filters: FilterOptions): Promise<Listing<T>>;
  readonly columns: readonly Column<T>[];
  /** Asks for what more there is to show of them. */
  wide?(api: TopologyApi, filters: FilterOptions): Promise<Wide<T>>;
  /** The whole list as one protobuf JSON document. */
  document(listing: Listing<T>): unknown;
}

const CLUSTERS: ListKind<ListClustersResponse['clusters'][number]> = {
  fetch: (api, { dialect, cluster = '' }) => api.clusters({ dialect: dialectFilter(dialect), id: cluster }),
  columns: CLUSTER_COLUMNS,
  document: ({ items: clusters, revision }) => protobufJson(ListClustersResponse, { clusters, revision, ...LAST_PAGE }),
};

const NODES: ListKind<ListNodesResponse['nodes'][number]> = {
  fetch: (api, { dialect, cluster = '', node = '' }) =>
    api.nodes({ dialect: dialectFilter(dialect), clusterId: cluster, node }),
  columns: NODE_COLUMNS,
  document: ({ items: nodes, revision }) => protobufJson(ListNodesResponse, { nodes, revision, ...LAST_PAGE }),
};

const LINKS: ListKind<ListLinksResponse['links'][number]> = {
  fetch: (api, { dialect, cluster = '', node = '', connection = '' }) =>
    api.links({ dialect: dialectFilter(dialect), clusterId: cluster, node, connection }),
  columns: LINK_COLUMNS,
  document: ({ items: links, revision }) => protobufJson(ListLinksResponse, { links, revision, ...LAST_PAGE }),
};

const CONNECTIONS: ListKind<ListConnectionsResponse['connections'][number]> = {
  fetch: (api, { dialect, gateway = '' }) => api.connections({ dialect: dialectFilter(dialect), gateway }),
  columns: CONNECTION_COLUMNS,
  wide: async (api, { gateway = '' }) => {
    const { items, silentGateways } = await api.traffic({ gateway, kinds: [TrafficKind.TRAFFIC_KIND_CONNECTION] });
    return { columns: connectionColumnsWith(new Map(items.map((one) => [one.id, one]))), silentGateways };
  },
  document: ({ items: connections, revision }) =>
    protobufJson(ListConnectionsResponse, { connections, revision, ...LAST_PAGE }),
};

const RELAYS: ListKind<ListRelaysResponse['relays'][number]> = {
  fetch: (api, { dialect, node = '', connection = '', link = '' }) =>
    api.relays({ dialect: dialectFilter(dialect), node, connection, link }),
  columns: RELAY_COLUMNS,
  document: ({ items: relays, revision }) => protobufJson(ListRelaysResponse, { relays, revision, ...LAST_PAGE }),
};

/** For the types only: all pages are there, so there is no next one, and the document does not speak of it. */
const LAST_PAGE = { nextPageToken: '' };

const KINDS = { clusters: CLUSTERS, nodes: NODES, links: LINKS, conns: CONNECTIONS, relays: RELAYS };

/** Names of the commands that print a list. */
export type ListName = keyof typeof KINDS;

/**
 * Asks for all pages of a list and prints them.
 * @throws Failure
 */
export function showList(name: ListName, query: ListQuery, terminal: Terminal): Promise<void> {
  // Each kind fits itself; that cannot be said of the union of them.
  return show(KINDS[name] as ListKind<unknown>, query, terminal);
}

async function show<T>(kind: ListKind<T>, { filters, options }: ListQuery, terminal: Terminal): Promise<void> {
  const api = new TopologyApi(options);
  try {
    const listing = await kind.fetch(api, filters);
    if (options.output === 'json') {
      const { nextPageToken: _, ...document } = kind.document(listing) as { nextPageToken: string };
      await writeJson(terminal.out, document);
      return;
    }
    const wide = options.output === 'wide' ? await kind.wide?.(api, filters) : undefined;
    const { columns, silentGateways } = wide ?? { columns: kind.columns, silentGateways: [] };
    if (silentGateways.length > 0) note(terminal, missingTraffic(silentGateways));
    await write(terminal.out, renderTable(columns, listing.items, paintFor(terminal.out)));
  } finally {
    api.close();
  }
}
