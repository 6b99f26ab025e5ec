import {
  type handleUnaryCall,
  type Metadata,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { METHOD_ROLES } from '@spanmesh/proto/method-roles';
import type * as api from '@spanmesh/proto/v1/topology';
import { ReplicaRole, TopologyService } from '@spanmesh/proto/v1/topology';
import { apiPrincipal } from '@spanmesh/runtime/access/api-principal';
import type { Clock } from '@spanmesh/runtime/clock';
import type { EventTeller } from '@spanmesh/runtime/events/event-teller';
import { ApiError, FaultLog } from '@spanmesh/runtime/grpc/api-error';
import { answeredBy } from '@spanmesh/runtime/grpc/forwarder';
import { type Job, Slices } from '@spanmesh/runtime/grpc/slices';
import type { Logger } from '@spanmesh/runtime/log/logger';
import { ApiShares } from '../api-shares.ts';
import type { Commander } from '../attach/commander.ts';
import type { Leadership } from '../attach/leadership.ts';
import type { Captures } from '../operate/captures.ts';
import { closeConnection } from '../operate/close-connection.ts';
import type { Drains } from '../operate/drains.ts';
import { type ProcessesKnown, showStatus, wholeMs } from '../show/show-status.ts';
import type { Traffic } from '../traffic/traffic.ts';
import type { Trees } from '../trees/trees.ts';
import type { View } from '../trees/view.ts';
import { explain } from './explain.ts';
import { listClusters, listConnections, listLinks, listNodes, listRelays } from './lists.ts';
import { sendAll } from './send-all.ts';
import { treeParts } from './tree-parts.ts';
import { Watch } from './watch.ts';

/** The roles, as they are named in the metadata of answers. */
const ROLE_NAMES: Readonly<Record<number, string>> = {
  [ReplicaRole.REPLICA_ROLE_LEADER]: 'leader',
  [ReplicaRole.REPLICA_ROLE_STANDBY]: 'standby',
  [ReplicaRole.REPLICA_ROLE_TAKING_OVER]: 'taking-over',
  [ReplicaRole.REPLICA_ROLE_FROZEN]: 'frozen',
};

/** The methods that only read: any replica answers them that has something to read. */
export const READS: ReadonlySet<string> = new Set(
  Object.entries(TopologyService).flatMap(([name, { path }]) => (METHOD_ROLES[path] === 'read' ? [name] : [])),
);

/** Without the index signature of api.TopologyServer, which would allow a method of any name. */
type TopologyHandlers = Pick<api.TopologyServer, keyof TopologyService>;

export interface ApiDeps {
  /** The trees that reads are answered from; null: this replica has none. */
  readonly view: () => View | null;
  /** Whether no change of the trees is half done. */
  readonly isWhole: () => boolean;
  /** Calls `fn` at once, or as soon as no change of the trees is half done. */
  readonly whenWhole: (fn: () => void) => void;
  /** Why this replica has no trees, as a sentence that says which replica to ask. */
  readonly whyNot: () => string;
  /** The trees of the leader, for orders. */
  readonly trees: Trees;
  readonly leadership: Leadership;
  readonly commander: Pick<Commander, 'close'>;
  readonly drains: Pick<Drains, 'drain'>;
  readonly captures: Pick<Captures, 'capture'>;
  readonly traffic: Pick<Traffic, 'list'>;
  /** All known processes, including this one. */
  readonly processes: () => ProcessesKnown;
  /** Where a user that exceeds the share of one user is reported; default: nowhere. */
  readonly events?: EventTeller;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The Topology service of topology.proto. */
export class Api {
  readonly #address: () => string;
  readonly #deps: ApiDeps;
  /** The answers being made, in slices. */
  readonly slices: Slices;
  readonly #watches = new Set<Watch>();
  /** The shares of this replica that each user of the API may take. */
  readonly shares: ApiShares;
  readonly #faults: FaultLog;

  /** `address`: how this replica is named in answers, `host:port`. */
  constructor({ address }: { address: () => string }, deps: ApiDeps) {
    this.#address = address;
    this.#deps = deps;
    this.slices = new Slices({ mayWork: deps.isWhole });
    this.#faults = new FaultLog({ service: 'topology' }, deps);
    this.shares = new ApiShares(deps);
  }

  get watches(): number {
    return this.#watches.size;
  }

  /** The handlers for a gRPC server. */
  readonly implementation: TopologyHandlers = {
    listClusters: this.#unary(({ trees }, request: api.ListClustersRequest) => listClusters(trees, request)),
    listNodes: this.#unary(({ trees }, request: api.ListNodesRequest) => listNodes(trees, request)),
    listLinks: this.#unary(({ trees }, request: api.ListLinksRequest) => listLinks(trees, request)),
    listConnections: this.#unary(({ trees }, request: api.ListConnectionsRequest) => listConnections(trees, request)),
    listRelays: this.#unary(({ trees }, request: api.ListRelaysRequest) => listRelays(trees, request)),
    explain: this.#unary(({ trees, widths }, request: api.ExplainRequest) => explain(trees, widths, request)),
    getStatus: (call, callback) => this.#getStatus(call, callback),
    listTraffic: (call, callback) => this.#listTraffic(call, callback),
    getTree: (call) => this.#deps.whenWhole(() => this.#stream(call, (view) => this.#getTree(call, view))),
    watch: (call) => this.#stream(call, (view) => this.#watch(call, view)),
    drainGateway: (call) => this.#stream(call, () => this.#order(() => this.#deps.drains.drain(call))),
    captureConnection: (call) => this.#stream(call, () => this.#order(() => this.#deps.captures.capture(call))),
    closeConnection: (call, callback) => {
      try {
        const { trees, commander } = this.#deps;
        callback(
          null,
          this.#order(() => closeConnection(trees, commander, call.request)),
        );
      } catch (error) {
        callback(this.#report(error));
      }
    },
  };

  /** Ends all watches, before this replica stops. */
  endWatches(): void {
    for (const watch of [...this.#watches]) watch.end();
  }

  /** Also answered while nobody leads, as it must be able to report that. */
  #getStatus(call: { sendMetadata(metadata: Metadata): void }, callback: sendUnaryData<api.GetStatusResponse>): void {
    const view = this.#deps.view();
    if (view !== null) this.#announce(call, view);
    callback(null, showStatus(this.#deps.processes(), view?.trees ?? null, view?.history.revision ?? ''));
  }

  /** Answered by asking the gateways in the trees. */
  #listTraffic(
    call: ServerUnaryCall<api.ListTrafficRequest, api.ListTrafficResponse>,
    callback: sendUnaryData<api.ListTrafficResponse>,
  ): void {
    let close = (): void => {};
    try {
      const view = this.#view();
      this.#announce(call, view);
      close = this.shares.begin('answers about traffic', apiPrincipal(call));
      this.#deps.traffic
        .list(view.trees, call.request, () => call.cancelled)
        .then(
          (made) => callback(null, made),
          (error: unknown) => callback(this.#report(error)),
        )
        .finally(close);
    } catch (error) {
      close();
      callback(this.#report(error));
    }
  }

  #getTree(call: ServerWritableStream<api.GetTreeRequest, api.GetTreeResponse>, { trees, history }: View): void {
    const close = this.shares.begin('trees', apiPrincipal(call));
    let parts: Iterable<api.GetTreeResponse>;
    try {
      parts = treeParts(trees, call.request, history.revision);
    } catch (error) {
      close();
      throw error;
    }
    sendAll(call, parts)
      .catch((error: unknown) => {
        call.emit('error', this.#faults.report(error));
      })
      .finally(close);
  }

  #watch(call: ServerWritableStream<api.WatchRequest, api.WatchResponse>, { history, role }: View): void {
    const { clock } = this.#deps;
    const close = this.shares.begin('watches', apiPrincipal(call), (error) => {
      watch.abandon();
      call.emit('error', error);
    });
    const watch: Watch = new Watch(call.request, {
      stream: call,
      history,
      clock,
      mayBeBehind: role === ReplicaRole.REPLICA_ROLE_STANDBY,
      onEnd: () => {
        this.#watches.delete(watch);
        close();
      },
    });
    this.#watches.add(watch);
    watch.begin();
  }

  /** A handler whose answer is made in slices, so that gateways are served in between, whatever users ask for. */
  #unary<Request, Answer extends object>(
    answer: (view: View, request: Request) => Job<Answer>,
  ): handleUnaryCall<Request, Answer & { revision: string }> {
    return (call, callback: sendUnaryData<Answer & { revision: string }>) => {
      const principal = apiPrincipal(call);
      let close: () => void;
      try {
        close = this.shares.begin('answers', principal);
      } catch (error) {
        callback(this.#report(error));
        return;
      }
      this.slices
        .run(this.#answering(call, answer), principal)
        .then(
          (made) => callback(null, made),
          (error: unknown) => callback(this.#report(error)),
        )
        .finally(close);
    };
  }

  *#answering<Request, Answer extends object>(
    call: { readonly request: Request; readonly cancelled: boolean; sendMetadata(metadata: Metadata): void },
    answer: (view: View, request: Request) => Job<Answer>,
  ): Job<Answer & { revision: string }> {
    if (call.cancelled) throw new ApiError(status.CANCELLED, 'Nobody waits for the answer any more.');
    const view = this.#view();
    this.#announce(call, view);
    const made = yield* answer(view, call.request);
    return { ...made, revision: view.history.revision };
  }

  #stream(
    call: { sendMetadata(metadata: Metadata): void; emit(event: 'error', error: Error): boolean },
    answer: (view: View) => void,
  ): void {
    try {
      const view = this.#view();
      this.#announce(call, view);
      answer(view);
    } catch (error) {
      call.emit('error', this.#report(error));
    }
  }

  #view(): View {
    const view = this.#deps.view();
    if (view === null) throw new ApiError(status.UNAVAILABLE, this.#deps.whyNot());
    return view;
  }

  /** Sends the metadata that say which replica answers, and how old the answer is. */
  #announce(call: { sendMetadata(metadata: Metadata): void }, { role, lagMs }: View): void {
    call.sendMetadata(answeredBy({ address: this.#address(), role: ROLE_NAMES[role] ?? '', lagMs: wholeMs(lagMs) }));
  }

  /** Gives an order, but only while no other replica can lead (architecture.md, "Lease"). */
  #order<T>(give: () => T): T {
    const { leadership } = this.#deps;
    const why = leadership.notLeading();
    if (why !== null) throw new ApiError(status.UNAVAILABLE, why);
    if (leadership.mayCommand()) return give();
    const details =
      'The leader may not command at the moment: its lease is not sure, or not all gateways have attached yet.';
    throw new ApiError(status.UNAVAILABLE, `${details} Try again.`);
  }

  #report(error: unknown): ApiError {
    return this.#faults.report(error);
  }
}
