import {
  type handleUnaryCall,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import {
  canonicalClusterKey,
  canonicalNodeSelector,
  clusterKeyFault,
  nodeSelectorFault,
} from '@spanmesh/proto/cluster-key';
import type * as proto from '@spanmesh/proto/v1/messaging';
import type { ClusterKey } from '@spanmesh/proto/v1/types';
import { apiPrincipal } from '@spanmesh/runtime/access/api-principal';
import type { Clock } from '@spanmesh/runtime/clock';
import type { EventTeller } from '@spanmesh/runtime/events/event-teller';
import { ApiError, FaultLog, invalid } from '@spanmesh/runtime/grpc/api-error';
import { CallShares } from '@spanmesh/runtime/grpc/call-shares';
import type { Logger } from '@spanmesh/runtime/log/logger';
import type { Metrics } from '@spanmesh/runtime/metrics';
import type { Reports } from '../attach/reports.ts';
import type { LocalClients } from '../routing/local-clients.ts';
import type { Caller, DirectoryCalls } from './directory-calls.ts';
import { Handles } from './handles.ts';
import { HeldClusters } from './held-clusters.ts';
import { MAX_HANDLES, MAX_HANDLES_PER_USER, MAX_ROUTES, MAX_ROUTES_PER_USER } from './limits.ts';
import { MessagingMetrics, registerMessagingMetrics } from './messaging-metrics.ts';
import { RouteCall } from './route-call.ts';
import { RouteLinks } from './route-links.ts';

export interface MessagingDependencies {
  readonly directory: DirectoryCalls;
  readonly clients: Pick<LocalClients, 'openRoute'>;
  readonly reports: Reports;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when a user reaches a limit; default: only the log reports it. */
  readonly events?: EventTeller;
}

type Handlers = Pick<
  proto.MessagingServer,
  'acquireCluster' | 'renewClusters' | 'releaseCluster' | 'waitCluster' | 'resolveNode' | 'openRoute'
>;

/** The Messaging service of messaging.proto. */
export class Messaging {
  readonly counters = new MessagingMetrics();
  /** The clusters that clients hold, for snapshots. */
  readonly held: HeldClusters;

  readonly #gateway: () => string;
  readonly #deps: MessagingDependencies;
  readonly #faults: FaultLog;
  readonly #handles: Handles;
  readonly #links = new RouteLinks();
  readonly #calls = new Set<RouteCall>();
  readonly #shares: CallShares<'routes' | 'handles'>;
  #stopped = false;

  /** `gateway`: returns the id of this gateway; called at each use. */
  constructor({ gateway }: { gateway: () => string }, deps: MessagingDependencies) {
    this.#gateway = gateway;
    this.#deps = deps;
    this.#faults = new FaultLog({ service: 'Messaging' }, deps);
    this.held = new HeldClusters(deps.reports);
    this.#shares = new CallShares(
      {
        routes: { total: MAX_ROUTES, share: MAX_ROUTES_PER_USER },
        handles: { total: MAX_HANDLES, share: MAX_HANDLES_PER_USER },
      },
      deps,
    );
    this.#handles = new Handles({ held: this.held, clock: deps.clock, shares: this.#shares });
    const handles = () => this.#handles.size;
    const heldClusters = () => this.held.size;
    registerMessagingMetrics(deps.metrics, this.counters, {
      get handles() {
        return handles();
      },
      get heldClusters() {
        return heldClusters();
      },
      get waiting() {
        return deps.directory.waiting;
      },
    });
  }

  /** Numbers of open things, for programs that embed the gateway. */
  counts(): Record<'handles' | 'heldClusters' | 'routeCalls' | 'routeLinks', number> {
    return {
      handles: this.#handles.size,
      heldClusters: this.held.size,
      routeCalls: this.#calls.size,
      routeLinks: this.#links.size,
    };
  }

  /** The handlers for a gRPC server. */
  readonly implementation: Handlers = {
    acquireCluster: this.#unary(({ cluster, leaseMs }: proto.AcquireClusterRequest, { principal }) =>
      this.#handles.acquire(clusterOf(cluster), leaseMs, principal),
    ),
    renewClusters: this.#unary(({ handles }: proto.RenewClustersRequest) => {
      this.#handles.renew(handles);
      return {};
    }),
    releaseCluster: this.#unary(({ handle }: proto.ReleaseClusterRequest) => {
      this.#handles.release(handle);
      return {};
    }),
    waitCluster: this.#unary(({ cluster, nodes }: proto.WaitClusterRequest, caller) =>
      this.#deps.directory.findCluster(clusterOf(cluster), Math.max(1, nodes), caller),
    ),
    resolveNode: this.#unary(async ({ node }: proto.ResolveNodeRequest, caller) => {
      const fault = nodeSelectorFault(node);
      if (fault !== null) throw invalid(fault);
      const found = await this.#deps.directory.findNode(canonicalNodeSelector(node), caller);
      return { node: found.node, links: found.links.flatMap(({ link }) => link ?? []) };
    }),
    openRoute: (call) => this.#openRoute(call),
  };

  /** The gateway is going to stop: refuses new calls; open ones go on for now. */
  takeNoMore(): void {
    this.#stopped = true;
  }

  /** Ends all routes, all calls that wait, and all handles. */
  stop(): void {
    this.takeNoMore();
    this.#deps.directory.stop();
    for (const call of [...this.#calls]) call.fail(stopping());
    this.#handles.clear();
  }

  #openRoute(stream: ServerDuplexStream<proto.OpenRouteRequest, proto.OpenRouteResponse>): void {
    let close: () => void;
    const principal = apiPrincipal(stream);
    try {
      if (this.#stopped) throw stopping();
      close = this.#shares.begin('routes', principal, ({ code, message }) => call.fail(new ApiError(code, message)));
    } catch (error) {
      stream.emit('error', this.#faults.report(error));
      return;
    }
    const { directory, clients, clock } = this.#deps;
    const call: RouteCall = new RouteCall(stream, {
      gateway: this.#gateway,
      principal,
      directory,
      clients,
      links: this.#links,
      metrics: this.counters,
      clock,
      faults: this.#faults,
      onEnd: (ended) => {
        this.#calls.delete(ended);
        close();
      },
    });
    this.#calls.add(call);
  }

  #unary<Request, Answer>(
    answer: (request: Request, caller: Caller) => Answer | Promise<Answer>,
  ): handleUnaryCall<Request, Answer> {
    return (call: ServerUnaryCall<Request, Answer>, callback: sendUnaryData<Answer>) => {
      const abort = new AbortController();
      // Emitted also when the deadline has passed: grpc-js cancels the call then.
      call.once('cancelled', () => abort.abort());
      const run = async (): Promise<Answer> => {
        if (this.#stopped) throw stopping();
        return answer(call.request, { signal: abort.signal, principal: apiPrincipal(call) });
      };
      run().then(
        (answered) => callback(null, answered),
        (error: unknown) => callback(this.#faults.report(error)),
      );
    };
  }
}

function stopping(): ApiError {
  return new ApiError(status.UNAVAILABLE, 'This gateway stops: use another one.');
}

/** @throws ApiError INVALID_ARGUMENT */
function clusterOf(key: ClusterKey | undefined): ClusterKey {
  const fault = clusterKeyFault(key);
  if (fault !== null) throw invalid(fault);
  return canonicalClusterKey(key);
}
