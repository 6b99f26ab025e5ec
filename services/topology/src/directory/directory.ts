import { type handleUnaryCall, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import {
  canonicalClusterKey,
  canonicalNodeSelector,
  clusterKeyFault,
  clusterKeyText,
  nodeSelectorFault,
} from '@spanmesh/proto/cluster-key';
import type * as proto from '@spanmesh/proto/v1/directory';
import type { NodeSelector } from '@spanmesh/proto/v1/messaging';
import type { Clock } from '@spanmesh/runtime/clock';
import { ApiError, FaultLog, invalid } from '@spanmesh/runtime/grpc/api-error';
import type { Logger } from '@spanmesh/runtime/log/logger';
import type { TableSizes } from '@spanmesh/runtime/table-sizes';
import type { GatewayId } from '@spanmesh/spantree/ids';
import type { Cluster, Link, Node } from '@spanmesh/spantree/tree';
import type { Leadership } from '../attach/leadership.ts';
import { showCluster, showNode } from '../show/show-cluster.ts';
import { showLink } from '../show/show-link.ts';
import { wholeMs } from '../show/show-status.ts';
import { linkData } from '../trees/gateway.ts';
import { showClusterKey, treeClusterKey } from '../trees/show-ids.ts';
import type { Trees } from '../trees/trees.ts';
import { keysOfNode, selectNode, selectorKeys } from './select-node.ts';
import { type Waiter, Waiters } from './waiters.ts';

/**
 * Calls that wait at a time, about 10 KB each. A gateway makes one call for all users that want the same node or
 * cluster.
 */
export const MAX_WAITING = 20_000;
/** The most links in an answer: more than a gateway has routes to one node over different links. */
export const MAX_FOUND_LINKS = 64;

export interface DirectoryDeps {
  readonly trees: Trees;
  readonly leadership: Leadership;
  readonly clock: Clock;
  readonly logger: Logger;
}

type Handlers = Pick<proto.DirectoryServer, 'findNode' | 'findCluster'>;

/** Returns the answer of a call, or null if the call must wait. */
type Look<Answer> = () => Answer | null;

/**
 * The Directory service of directory.proto, from which gateways learn where nodes are. A waiting call costs nothing
 * until an object that it may be waiting for changes.
 */
export class Directory {
  readonly #deps: DirectoryDeps;
  readonly #waiters = new Waiters();
  readonly #faults: FaultLog;

  constructor(deps: DirectoryDeps) {
    this.#deps = deps;
    this.#faults = new FaultLog({ service: 'topology' }, deps);
  }

  /** Calls that wait. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Entries of its tables. */
  tables(): TableSizes {
    const { size, keys, touched } = this.#waiters;
    return { directoryCalls: size, directoryKeys: keys, directoryTouched: touched };
  }

  /** The handlers for a gRPC server. */
  readonly implementation: Handlers = {
    findNode: this.#waiting((request: proto.FindNodeRequest) => {
      const fault = nodeSelectorFault(request.node);
      if (fault !== null) throw invalid(fault);
      const selector = canonicalNodeSelector(request.node);
      const { gateway } = request;
      return {
        gateway,
        look: () => this.#findNode(selector, gateway),
        keys: [...selectorKeys(selector), gatewayKey(gateway)],
      };
    }),
    findCluster: this.#waiting((request: proto.FindClusterRequest) => {
      const fault = clusterKeyFault(request.cluster);
      if (fault !== null) throw invalid(fault);
      const key = canonicalClusterKey(request.cluster);
      const nodes = Math.max(1, request.nodes);
      const look = (): proto.FindClusterResponse | null => {
        const cluster = this.#deps.trees.tree.findCluster(treeClusterKey(key));
        if (cluster === undefined || cluster.nodeCount < nodes) return null;
        return { cluster: showCluster(cluster), lagMs: this.#lagMs };
      };
      return { gateway: request.gateway, look, keys: [`cluster ${clusterKeyText(key)}`] };
    }),
  };

  /** A node has got another link. */
  linkAdded({ node }: Link): void {
    if (this.#waiters.size === 0) return;
    for (const key of keysOfNode(node)) this.#waiters.touch(key);
  }

  /** A cluster has got another node. */
  nodeAdded(cluster: Cluster): void {
    if (this.#waiters.size > 0) this.#waiters.touch(`cluster ${clusterKeyText(showClusterKey(cluster))}`);
  }

  /** The gateway can reach another gateway again. */
  reachable(gateway: GatewayId): void {
    this.#waiters.touch(gatewayKey(gateway));
  }

  /** Answers the waiting calls that can be answered now. Call it once a turn. */
  flush(): void {
    this.#waiters.flush();
  }

  /** Ends all waiting calls: this replica does not lead any more. */
  endAll(details: string): void {
    this.#waiters.failAll(details);
  }

  #findNode(selector: NodeSelector, gateway: GatewayId): proto.FindNodeResponse | null {
    const node = selectNode(this.#deps.trees.tree, selector);
    if (node === undefined) return null;
    const links = this.#usableLinks(node, gateway);
    if (links.length === 0) return null;
    return {
      node: showNode(node),
      links: links.map((link) => ({ gateway: link.connection.gateway, number: link.id, link: showLink(link) })),
      lagMs: this.#lagMs,
    };
  }

  /** The links of a node that a gateway can use, best first: its own, and those of gateways that it can reach. */
  #usableLinks(node: Node, gateway: GatewayId): Link[] {
    const { tree } = this.#deps.trees;
    const usable: Link[] = [];
    for (const link of node.links) {
      const owner = linkData(link).gateway;
      if (owner.id !== gateway && (owner.serviceAddress === '' || !tree.reaches(gateway, owner.id))) continue;
      usable.push(link);
      if (usable.length === MAX_FOUND_LINKS) break;
    }
    return usable;
  }

  get #lagMs(): number {
    return wholeMs(this.#deps.leadership.frozenMs);
  }

  /**
   * Refuses gateways that are not attached here while this leader is frozen: another replica may lead and serve them.
   * @throws ApiError UNAVAILABLE
   */
  #checkFrozen(gateway: GatewayId): void {
    const { leadership, trees } = this.#deps;
    if (leadership.frozenMs === 0 || trees.gateways.get(gateway)?.attached === true) return;
    const details =
      'The lease of this topology replica is not sure, and the gateway is not attached to it: find the one that leads.';
    throw new ApiError(status.UNAVAILABLE, details);
  }

  /** A handler of a unary call that waits until there is an answer, its deadline passes, or it is cancelled. */
  #waiting<Request, Answer>(
    prepare: (request: Request) => { gateway: GatewayId; look: Look<Answer>; keys: readonly string[] },
  ): handleUnaryCall<Request, Answer> {
    return (call, callback) => {
      try {
        const why = this.#deps.leadership.notLeading();
        if (why !== null) throw new ApiError(status.UNAVAILABLE, why);
        const { gateway, look, keys } = prepare(call.request);
        this.#checkFrozen(gateway);
        const answer = look();
        if (answer !== null) callback(null, answer);
        else this.#wait(call, callback, look, keys);
      } catch (error) {
        callback(this.#report(error));
      }
    };
  }

  #wait<Request, Answer>(
    call: ServerUnaryCall<Request, Answer>,
    callback: sendUnaryData<Answer>,
    look: Look<Answer>,
    keys: readonly string[],
  ): void {
    if (this.#waiters.size >= MAX_WAITING) {
      throw new ApiError(status.RESOURCE_EXHAUSTED, `${MAX_WAITING} calls wait already: try again later.`);
    }
    const waiter: Waiter = {
      look: () => {
        try {
          const answer = look();
          if (answer === null) return false;
          callback(null, answer);
        } catch (error) {
          callback(this.#report(error));
        }
        return true;
      },
      fail: (details) => callback(new ApiError(status.UNAVAILABLE, details)),
    };
    this.#waiters.add(waiter, keys);
    // grpc-js also emits this when the deadline has passed.
    call.once('cancelled', () => this.#waiters.remove(waiter));
  }

  #report(error: unknown): ApiError {
    return this.#faults.report(error);
  }
}

function gatewayKey(gateway: GatewayId): string {
  return `gateway ${gateway}`;
}
