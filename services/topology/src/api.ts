import { type handleUnaryCall, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js';
import type * as api from '@spanmesh/proto/v1/topology';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Logger } from '@spanmesh/runtime/logger';
import { ApiError, toApiError } from './api-error.ts';
import type { Commander } from './commander.ts';
import { explain } from './explain.ts';
import type { History } from './history.ts';
import type { Leadership } from './leadership.ts';
import { listClusters, listConnections, listLinks, listNodes, listRelays } from './lists.ts';
import { closeConnection } from './operate/close-connection.ts';
import type { Drains } from './operate/drains.ts';
import { sendAll } from './send-all.ts';
import { type ReplicasKnown, showStatus } from './show-status.ts';
import type { State } from './state.ts';
import { treeParts } from './tree-parts.ts';
import { Watch } from './watch.ts';

/** Watches at a time: each may be a batch behind. */
export const MAX_WATCHES = 1000;
/** Trees being sent at a time: each holds a capture of the whole tree. */
export const MAX_TREES = 16;

type TopologyHandlers = Pick<
  api.TopologyServer,
  | 'listClusters'
  | 'listNodes'
  | 'listLinks'
  | 'listConnections'
  | 'listRelays'
  | 'getTree'
  | 'watch'
  | 'explain'
  | 'getStatus'
  | 'drainGateway'
  | 'closeConnection'
>;

export interface ApiDeps {
  readonly state: State;
  readonly history: History;
  readonly leadership: Leadership;
  readonly commander: Pick<Commander, 'close'>;
  readonly drains: Pick<Drains, 'drain'>;
  /** What is known of the replicas, this one among them. */
  readonly replicas: () => ReplicasKnown;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The Topology service of topology.proto. */
export class Api {
  readonly #widths: { readonly linkid: number; readonly circuit: number };
  readonly #deps: ApiDeps;
  readonly #watches = new Set<Watch>();
  #trees = 0;

  constructor(options: { linkidWidth: number; circuitWidth: number }, deps: ApiDeps) {
    this.#widths = { linkid: options.linkidWidth, circuit: options.circuitWidth };
    this.#deps = deps;
  }

  get watches(): number {
    return this.#watches.size;
  }

  /** What a gRPC server needs. */
  readonly implementation: TopologyHandlers = {
    listClusters: this.#unary(listClusters),
    listNodes: this.#unary(listNodes),
    listLinks: this.#unary(listLinks),
    listConnections: this.#unary(listConnections),
    listRelays: this.#unary(listRelays),
    explain: this.#unary((state, request: api.ExplainRequest) => explain(state, this.#widths, request)),
    getStatus: (_call, callback) => callback(null, this.#getStatus()),
    getTree: (call) => this.#stream(call, () => this.#getTree(call)),
    watch: (call) => this.#stream(call, () => this.#watch(call)),
    drainGateway: (call) =>
      this.#stream(call, () => {
        this.#checkCommanding();
        this.#deps.drains.drain(call);
      }),
    closeConnection: (call, callback) => {
      try {
        this.#checkCommanding();
        const { state, commander } = this.#deps;
        callback(null, closeConnection(state, commander, call.request));
      } catch (error) {
        callback(this.#report(error));
      }
    },
  };

  /** Ends all watches: for a stop. */
  endWatches(): void {
    for (const watch of [...this.#watches]) watch.end();
  }

  /** Also answered while nobody leads: to say so is what it is for. */
  #getStatus(): api.GetStatusResponse {
    const { state, history, leadership, replicas } = this.#deps;
    const isKnown = leadership.notLeading() === null;
    return showStatus(replicas(), isKnown ? state : null, isKnown ? history.revision : '');
  }

  #getTree(call: ServerWritableStream<api.GetTreeRequest, api.GetTreeResponse>): void {
    const { state, history, logger } = this.#deps;
    if (this.#trees >= MAX_TREES) {
      throw new ApiError(status.RESOURCE_EXHAUSTED, `${MAX_TREES} trees are being sent already: try again later.`);
    }
    const parts = treeParts(state, call.request, history.revision);
    this.#trees++;
    sendAll(call, parts)
      .catch((error: unknown) => {
        logger.error({ err: error }, 'tree could not be sent');
        call.emit('error', toApiError(error));
      })
      .finally(() => {
        this.#trees--;
      });
  }

  #watch(call: ServerWritableStream<api.WatchRequest, api.WatchResponse>): void {
    const { history, clock } = this.#deps;
    if (this.#watches.size >= MAX_WATCHES) {
      throw new ApiError(status.RESOURCE_EXHAUSTED, `There are ${MAX_WATCHES} watches already: end some.`);
    }
    let ended = false;
    const watch: Watch = new Watch(call.request, {
      stream: call,
      history,
      clock,
      onEnd: () => {
        ended = true;
        this.#watches.delete(watch);
      },
    });
    if (!ended) this.#watches.add(watch);
  }

  #unary<Request, Answer extends object>(
    answer: (state: State, request: Request) => Answer,
  ): handleUnaryCall<Request, Answer & { revision: string }> {
    return (call, callback: sendUnaryData<Answer & { revision: string }>) => {
      try {
        this.#checkLeading();
        const { revision } = this.#deps.history;
        callback(null, { ...answer(this.#deps.state, call.request), revision });
      } catch (error) {
        callback(this.#report(error));
      }
    };
  }

  #stream(call: { emit(event: 'error', error: Error): boolean }, answer: () => void): void {
    try {
      this.#checkLeading();
      answer();
    } catch (error) {
      call.emit('error', this.#report(error));
    }
  }

  /** The trees are where the gateways attach: at the leader. */
  #checkLeading(): void {
    const why = this.#deps.leadership.notLeading();
    if (why !== null) throw new ApiError(status.UNAVAILABLE, why);
  }

  /** Orders go out only while nobody else can lead (architecture.md, "Lease"). */
  #checkCommanding(): void {
    this.#checkLeading();
    if (this.#deps.leadership.mayCommand()) return;
    const why =
      'The leader may not command at the moment: its lease is not sure, or not all gateways have attached yet.';
    throw new ApiError(status.UNAVAILABLE, `${why} Try again.`);
  }

  #report(error: unknown): ApiError {
    if (!(error instanceof ApiError)) this.#deps.logger.error({ err: error }, 'request failed');
    return toApiError(error);
  }
}
