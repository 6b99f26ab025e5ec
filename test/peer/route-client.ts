import { type ClientDuplexStream, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import {
  MessagingClient,
  type NodeSelector,
  type OpenRouteRequest,
  type OpenRouteResponse,
  RoutedMessage,
  type RouteOpened,
} from '@spanmesh/proto/v1/messaging';
import { Dialect as ApiDialect, type ClusterKey } from '@spanmesh/proto/v1/types';
import { channelOptions } from '@spanmesh/runtime/grpc/grpc-client';
import { ECHO_CLUSTER } from './echo-node.ts';
import { type SpanFields, testUuid } from './payloads.ts';
import { PATIENCE_MS } from './raw-peer.ts';
import type { Dialect } from './wire.ts';

type ClusterFields = Pick<SpanFields, 'cluster' | 'peerType' | 'clusterLabel'>;

const ECHO: ClusterFields = { cluster: ECHO_CLUSTER, peerType: 3, clusterLabel: 'echo' };

/** A span's cluster, as the API names it. */
function clusterOf(dialect: Dialect, { cluster: id, peerType, clusterLabel }: ClusterFields): ClusterKey {
  return dialect === 'linkid'
    ? { dialect: ApiDialect.DIALECT_LINKID, id, peerType: 0, peerLabel: '' }
    : { dialect: ApiDialect.DIALECT_CIRCUIT, id, peerType, peerLabel: clusterLabel };
}

/** Selects exactly the node of a span. */
export function nodeOf(dialect: Dialect, span: ClusterFields & Pick<SpanFields, 'node' | 'nodeLabel'>): NodeSelector {
  const key = { cluster: clusterOf(dialect, span), id: span.node, label: dialect === 'linkid' ? '' : span.nodeLabel };
  return { key, dialect: ApiDialect.DIALECT_UNSPECIFIED, clusterId: '', node: '' };
}

/** The cluster of the echo nodes, as the API names it. */
export function echoCluster(dialect: Dialect): ClusterKey {
  return clusterOf(dialect, ECHO);
}

/** Selects exactly one echo node. */
export function echoNode(dialect: Dialect, node: number): NodeSelector {
  return nodeOf(dialect, { ...ECHO, node: testUuid(node), nodeLabel: `echo${node}` });
}

/** A client with a TCP connection of its own: one connection takes at most 1,024 calls at a time. */
export function messagingClient(port: number): MessagingClient {
  return new MessagingClient(`127.0.0.1:${port}`, credentials.createInsecure(), {
    ...channelOptions,
    'grpc.use_local_subchannel_pool': 1,
  });
}

type Unary<Request, Answer> = (
  request: Request,
  metadata: Metadata,
  options: { deadline: number },
  done: (error: ServiceError | null, answer: Answer) => void,
) => { cancel(): void };

/** Calls a unary method. Rejects with the ServiceError. */
export function ask<Request, Answer>(
  client: MessagingClient,
  method: Unary<Request, Answer>,
  request: Request,
  ms = PATIENCE_MS,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    method.call(client, request, new Metadata(), { deadline: Date.now() + ms }, (error, answer) =>
      error === null ? resolve(answer) : reject(error),
    );
  });
}

/** One OpenRoute call, whose messages are read one by one. */
export class RouteClient {
  readonly stream: ClientDuplexStream<OpenRouteRequest, OpenRouteResponse>;
  /** How the call ended. */
  readonly ended: Promise<ServiceError | null>;
  readonly #inbox: OpenRouteResponse[] = [];
  #wake: (() => void) | null = null;
  #over: ServiceError | null | undefined;

  constructor(client: MessagingClient) {
    this.stream = client.openRoute();
    const { promise, resolve } = Promise.withResolvers<ServiceError | null>();
    this.ended = promise;
    const end = (how: ServiceError | null): void => {
      if (this.#over !== undefined) return;
      this.#over = how;
      resolve(how);
      this.#wake?.();
    };
    this.stream.on('data', (response: OpenRouteResponse) => {
      this.#inbox.push(response);
      this.#wake?.();
    });
    this.stream.on('error', (error: ServiceError) => end(error));
    this.stream.on('end', () => setImmediate(end, null));
  }

  /** Opens a route and waits until it is established. */
  static async open(
    client: MessagingClient,
    node: NodeSelector,
    waitMs = PATIENCE_MS,
  ): Promise<RouteClient & { readonly opened: RouteOpened }> {
    const route = new RouteClient(client);
    return Object.assign(route, { opened: await route.begin(node, waitMs) });
  }

  /** Sends `open` and waits until the route is established. */
  async begin(node: NodeSelector, waitMs: number): Promise<RouteOpened> {
    this.stream.write({ open: { node, waitMs } });
    const { opened } = await this.next();
    return opened!;
  }

  send(message: Partial<RoutedMessage>): void {
    this.stream.write({ routed: RoutedMessage.fromPartial(message) });
  }

  /** The next message of the call; fails if the call ends before. */
  async next(): Promise<OpenRouteResponse> {
    while (this.#inbox.length === 0) {
      if (this.#over !== undefined) throw this.#over ?? new Error('the call has ended');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#inbox.shift()!;
  }

  /** The next routed message from the node. */
  async message(): Promise<RoutedMessage> {
    const { routed } = await this.next();
    if (routed === undefined) throw new Error('not a routed message');
    return routed;
  }
}
