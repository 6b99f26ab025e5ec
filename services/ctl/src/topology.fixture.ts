import { Server, ServerCredentials, type ServerWritableStream, type ServiceError, status } from '@grpc/grpc-js';
import {
  type ClusterTree,
  type ExplainRequest,
  ExplainResponse,
  type GetTreeRequest,
  GetTreeResponse,
  type ListLinksRequest,
  type ListNodesRequest,
  type ListTrafficRequest,
  ListTrafficResponse,
  TopologyService,
  type WatchRequest,
  type WatchResponse,
} from '@spanmesh/proto/v1/topology';
import { Cluster, Connection, Dialect, Link, Node } from '@spanmesh/proto/v1/types';

export const CLUSTER = Cluster.fromPartial({
  key: {
    dialect: Dialect.DIALECT_CIRCUIT,
    id: '8a2e1c5e-0000-4000-8000-000000000001',
    peerType: 3,
    peerLabel: 'tank',
  },
  nodes: 2,
  links: 3,
  peerTypeName: 'HAMMER2',
});

export const NODE = Node.fromPartial({
  key: { cluster: CLUSTER.key!, id: '8a2e1c5e-0000-4000-8000-00000000000a', label: 'DATA' },
  label: 'DATA',
  pfsType: 8,
  links: 2,
});

/** A node whose label tries to clear the screen. */
export const OTHER_NODE = Node.fromPartial({
  key: { cluster: CLUSTER.key!, id: '8a2e1c5e-0000-4000-8000-00000000000b', label: '\x1b[2J\u009b31m' },
  label: '\x1b[2J\u009b31m',
  pfsType: 5,
  links: 1,
  bestDist: -1,
});

/** Link `gw.1:<n>` of a node, over connection `gw.1:<n + 100>`. */
export function linkOf(node: Node, n: number, more: Partial<Link> = {}): Link {
  return Link.fromPartial({
    id: `gw.1:${n}`,
    node: node.key!,
    connection: `gw.1:${n + 100}`,
    peerType: 3,
    protoVersion: 1,
    label: node.label,
    stamp: 1_700_000_000_000_000n + BigInt(n),
    msgid: 0xfffff80012345640n,
    ...more,
  });
}

export const LINKID_CLUSTER = Cluster.fromPartial({
  key: { dialect: Dialect.DIALECT_LINKID, id: '8a2e1c5e-0000-4000-8000-000000000002' },
  nodes: 1,
  links: 1,
});

export const LINKID_NODE = Node.fromPartial({
  key: { cluster: LINKID_CLUSTER.key!, id: '8a2e1c5e-0000-4000-8000-00000000000c' },
  label: 'home',
  links: 1,
});

/** Two clusters, three nodes, four links, a relay. */
export function exampleTrees(): ClusterTree[] {
  return [
    {
      cluster: LINKID_CLUSTER,
      nodes: [{ node: LINKID_NODE, links: [{ link: linkOf(LINKID_NODE, 4, { dist: -2 }), relays: [] }] }],
    },
    {
      cluster: CLUSTER,
      nodes: [
        {
          node: NODE,
          links: [
            {
              link: linkOf(NODE, 1, { rnss: 7, relays: 1 }),
              relays: [{ lnkConn: 'gw.1:900', connection: 'gw.1:103', withheld: false }],
            },
            { link: linkOf(NODE, 2, { dist: 1, suspect: true }), relays: [] },
          ],
        },
        { node: OTHER_NODE, links: [{ link: linkOf(OTHER_NODE, 3, { dist: -1, status: 4 }), relays: [] }] },
      ],
    },
  ];
}

export const CONNECTION = Connection.fromPartial({
  id: 'gw.1:103',
  gateway: 'gw.1',
  dialect: Dialect.DIALECT_CIRCUIT,
  remoteAddress: '192.0.2.7:4321',
  localAddress: '192.0.2.1:987',
  origin: 1,
  since: new Date(Date.UTC(2026, 0, 31, 12, 0, 1)),
  lnkConns: [
    { id: 'gw.1:900', connection: 'gw.1:103', peerType: 3, label: 'box', relays: 1, peerMask: 2n ** 64n - 1n },
  ],
  links: 1,
  relays: 1,
});

/** Rows of ListRelays for one relay. */
const RELAY = { link: 'gw.1:1', lnkConn: 'gw.1:900', connection: 'gw.1:103', node: NODE.key, dist: 1 };

export type WatchCall = ServerWritableStream<WatchRequest, WatchResponse>;

/** A Topology service on a port of its own that answers as a test sets it. */
export class FakeTopology {
  trees: ClusterTree[] = exampleTrees();
  connections: Connection[] = [CONNECTION];
  revision = '1-1';
  /** Links in a page: few, to test that all pages are fetched. */
  pageSize = 2;
  readonly explained: ExplainRequest[] = [];
  /** Whether the service never answers. */
  silent = false;
  /** The answers to calls of ListTraffic, in turn; the last one is repeated. */
  traffic: Partial<ListTrafficResponse>[] = [{}];
  readonly trafficAsked: ListTrafficRequest[] = [];
  readonly nodesAsked: ListNodesRequest[] = [];
  explain: (request: ExplainRequest) => ExplainResponse = () => ExplainResponse.fromPartial({});
  /** How the API handles each call of Watch, in the order of the calls; the last call stays open. */
  readonly watches: ((call: WatchCall) => void)[] = [];
  readonly watched: WatchRequest[] = [];
  #server = new Server();
  #port = 0;

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async start(port = 0): Promise<void> {
    this.#server = new Server();
    this.#server.addService(TopologyService, {
      listClusters: this.#answer(() => ({
        clusters: this.trees.map((tree) => tree.cluster!),
        nextPageToken: '',
        revision: this.revision,
      })),
      listNodes: this.#answer((request: ListNodesRequest) => {
        this.nodesAsked.push(request);
        return {
          nodes: this.trees.flatMap((tree) => tree.nodes.map((node) => node.node!)),
          nextPageToken: '',
          revision: this.revision,
        };
      }),
      listLinks: this.#answer((request: ListLinksRequest) => {
        const all = this.trees.flatMap((tree) => tree.nodes.flatMap((node) => node.links.map((link) => link.link!)));
        const start = Number(request.pageToken);
        const end = start + this.pageSize;
        return {
          links: all.slice(start, end),
          nextPageToken: end < all.length ? String(end) : '',
          revision: `${this.revision}${start === 0 ? '' : '-later'}`,
        };
      }),
      listConnections: this.#answer(() => ({
        connections: this.connections,
        nextPageToken: '',
        revision: this.revision,
      })),
      listTraffic: this.#answer((request: ListTrafficRequest) => {
        this.trafficAsked.push(request);
        const [answer = {}] = this.traffic;
        if (this.traffic.length > 1) this.traffic.shift();
        return ListTrafficResponse.fromPartial(answer);
      }),
      listRelays: this.#answer(() => ({ relays: [RELAY], nextPageToken: '', revision: this.revision })),
      getTree: (call: ServerWritableStream<GetTreeRequest, GetTreeResponse>) => {
        if (this.silent) return;
        // One part for each node, so that the client has to join the parts of a cluster.
        for (const { cluster, nodes } of this.trees) {
          for (const node of nodes) {
            const clusters = [{ cluster, nodes: [node] }];
            call.write(GetTreeResponse.fromPartial({ clusters, revision: this.revision }));
          }
        }
        call.end();
      },
      watch: (call: WatchCall) => {
        this.watched.push(call.request);
        this.watches.shift()?.(call);
      },
      explain: this.#answer((request: ExplainRequest) => {
        this.explained.push(request);
        return this.explain(request);
      }),
    });
    this.#port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
  }

  /** Ends all calls at once, as a process that dies does. */
  stop(): void {
    this.#server.forceShutdown();
  }

  /** Dies, and comes back at the same address. */
  async restart(): Promise<void> {
    this.stop();
    await this.start(this.#port);
  }

  #answer<Q, R>(make: (request: Q) => R) {
    return (call: { request: Q }, callback: (error: Partial<ServiceError> | null, response?: R) => void): void => {
      if (this.silent) return;
      try {
        callback(null, make(call.request));
      } catch (error) {
        callback({ code: status.NOT_FOUND, details: (error as Error).message });
      }
    };
  }
}
