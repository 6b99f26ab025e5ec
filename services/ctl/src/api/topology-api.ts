import type { ClientReadableStream } from '@grpc/grpc-js';
import {
  type CaptureConnectionRequest,
  type CaptureConnectionResponse,
  type CloseConnectionRequest,
  type CloseConnectionResponse,
  type DrainGatewayRequest,
  type DrainGatewayResponse,
  ExplainResponse,
  type GetStatusResponse,
  type GetTreeRequest,
  type GetTreeResponse,
  type ListClustersRequest,
  type ListConnectionsRequest,
  type ListLinksRequest,
  type ListNodesRequest,
  type ListRelaysRequest,
  type ListTrafficRequest,
  TopologyClient,
  type WatchRequest,
  type WatchResponse,
} from '@spanmesh/proto/v1/topology';
import type { TrafficCounters } from '@spanmesh/proto/v1/traffic';
import type { Cluster, Connection, Link, Node, Relay } from '@spanmesh/proto/v1/types';
import type { CallContext } from './call-failure.ts';
import { callUnary, type UnaryCall } from './channel.ts';
import { messagesOf } from './messages-of.ts';
import { type ApiTarget, openClient } from './open-client.ts';
import { type PageRequest, pagesOf } from './pages.ts';

const SERVICE = 'spanmesh.v1.Topology';

/** What a list's filter leaves for this class to fill in. */
type Filter<T> = Omit<T, keyof PageRequest>;

/** All pages of a list. */
export interface Listing<T> {
  readonly items: T[];
  /** Revision of the first page: a watch that resumes from it misses nothing. */
  readonly revision: string;
}

/** Counters from all gateways that have answered. */
export interface TrafficListing {
  readonly items: TrafficCounters[];
  /** Ids of the gateways that have not answered, each once. */
  readonly silentGateways: readonly string[];
}

interface Page<T> {
  readonly items: T[];
  readonly nextPageToken: string;
  readonly revision: string;
}

/**
 * The Topology service as the commands use it: lists with all their pages, trees whole, one Failure for whatever goes
 * wrong. `timeoutMs` is for each answer (each page, each part), not for a list as a whole.
 */
export class TopologyApi {
  readonly address: string;
  readonly #timeoutMs: number;
  readonly #client: TopologyClient;

  /** @throws Failure usage */
  constructor({ timeoutMs, ...target }: ApiTarget & { readonly timeoutMs: number }) {
    this.address = target.address;
    this.#timeoutMs = timeoutMs;
    this.#client = openClient(TopologyClient, target);
  }

  /** The circumstances of a call, for `failureOf`. */
  get context(): CallContext {
    return { address: this.address, timeoutMs: this.#timeoutMs, service: SERVICE };
  }

  close(): void {
    this.#client.close();
  }

  clusters(filter: Filter<ListClustersRequest>): Promise<Listing<Cluster>> {
    return this.#list(async (page) => {
      const answer = await this.#unary(this.#client.listClusters, { ...filter, ...page });
      return { ...answer, items: answer.clusters };
    });
  }

  nodes(filter: Filter<ListNodesRequest>): Promise<Listing<Node>> {
    return this.#list(async (page) => {
      const answer = await this.#unary(this.#client.listNodes, { ...filter, ...page });
      return { ...answer, items: answer.nodes };
    });
  }

  links(filter: Filter<ListLinksRequest>): Promise<Listing<Link>> {
    return this.#list(async (page) => {
      const answer = await this.#unary(this.#client.listLinks, { ...filter, ...page });
      return { ...answer, items: answer.links };
    });
  }

  connections(filter: Filter<ListConnectionsRequest>): Promise<Listing<Connection>> {
    return this.#list(async (page) => {
      const answer = await this.#unary(this.#client.listConnections, { ...filter, ...page });
      return { ...answer, items: answer.connections };
    });
  }

  relays(filter: Filter<ListRelaysRequest>): Promise<Listing<Relay>> {
    return this.#list(async (page) => {
      const answer = await this.#unary(this.#client.listRelays, { ...filter, ...page });
      return { ...answer, items: answer.relays };
    });
  }

  async traffic(filter: Filter<ListTrafficRequest>): Promise<TrafficListing> {
    const silent = new Set<string>();
    const { items } = await this.#list(async (page) => {
      const { counters, silentGateways, nextPageToken } = await this.#unary(this.#client.listTraffic, {
        ...filter,
        ...page,
      });
      for (const gateway of silentGateways) silent.add(gateway);
      return { items: counters, nextPageToken, revision: '' };
    });
    return { items, silentGateways: [...silent] };
  }

  /** All pages of an explanation, as one answer. */
  async explain(node: string, connection: string): Promise<ExplainResponse> {
    let whole: ExplainResponse | undefined;
    const fetch = (page: PageRequest) => this.#unary(this.#client.explain, { node, connection, ...page });
    for await (const page of pagesOf(fetch)) {
      if (whole === undefined) whole = page;
      else addLnkConns(whole, page);
    }
    return { ...(whole ?? ExplainResponse.create()), nextPageToken: '' };
  }

  status(): Promise<GetStatusResponse> {
    return this.#unary(this.#client.getStatus, {});
  }

  closeConnection(request: CloseConnectionRequest): Promise<CloseConnectionResponse> {
    return this.#unary(this.#client.closeConnection, request);
  }

  /** The progress of a drain, as it is reported; the first answer must come in time. */
  async *drain(request: DrainGatewayRequest): AsyncGenerator<DrainGatewayResponse, void, undefined> {
    yield* messagesOf(this.#client.drainGateway(request), this.context);
  }

  /**
   * The messages of a connection, as they are captured; the first answer must come in time. The signal ends the
   * capture.
   */
  async *capture(
    request: CaptureConnectionRequest,
    signal?: AbortSignal,
  ): AsyncGenerator<CaptureConnectionResponse, void, undefined> {
    try {
      yield* messagesOf(this.#client.captureConnection(request), this.context, { signal });
    } catch (error) {
      if (signal?.aborted !== true) throw error;
    }
  }

  /** The trees in parts, as they arrive. Each part must come in time. */
  async *tree(request: GetTreeRequest): AsyncGenerator<GetTreeResponse, void, undefined> {
    yield* messagesOf(this.#client.getTree(request), this.context, { hurries: () => true });
  }

  /** Watches the trees. Errors of the stream are ServiceErrors, which `failureOf` explains. */
  watch(request: WatchRequest): ClientReadableStream<WatchResponse> {
    return this.#client.watch(request);
  }

  async #list<T>(fetch: (request: PageRequest) => Promise<Page<T>>): Promise<Listing<T>> {
    const items: T[] = [];
    let revision: string | undefined;
    for await (const page of pagesOf(fetch)) {
      for (const item of page.items) items.push(item);
      revision ??= page.revision;
    }
    return { items, revision: revision ?? '' };
  }

  #unary<Q, R>(call: UnaryCall<Q, R>, request: Q): Promise<R> {
    return callUnary(call.bind(this.#client), request, this.context);
  }
}

/** Adds the next page to the answer. A page may continue a LNK_CONN of the page before with further verdicts. */
function addLnkConns(whole: ExplainResponse, { lnkConns }: ExplainResponse): void {
  for (const one of lnkConns) {
    const begun = whole.lnkConns.at(-1);
    if (begun !== undefined && begun.lnkConn?.id === one.lnkConn?.id) begun.verdicts.push(...one.verdicts);
    else whole.lnkConns.push(one);
  }
}
