import { status } from '@grpc/grpc-js';
import { splitId } from '@spanmesh/proto/gateway-id';
import { ApiError, invalid } from '@spanmesh/runtime/grpc/api-error';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import type { Connection, Node, SpanTree } from '@spanmesh/spantree/tree';
import { lnkConnData } from '../trees/gateway.ts';
import { connectionId } from '../trees/show-ids.ts';
import type { Trees } from '../trees/trees.ts';

/** Candidates that an error message lists. */
const MAX_CANDIDATES = 10;

/** Objects looked at between two turns of the event loop. */
const VISITS_PER_STEP = 512;

/**
 * The node that `text` names by its id, its label, or a prefix of its id. A node that exists during the whole search is
 * found.
 * @throws ApiError INVALID_ARGUMENT: several; NOT_FOUND: none
 */
export function* findNode(tree: SpanTree, text: string): Job<Node> {
  if (text === '') throw invalid('Name a node: its id, its label, or the beginning of its id.');
  const search = new NodeSearch(text);
  let visits = 0;
  for (const cluster of [...tree.clusters()]) {
    for (const node of cluster.nodes()) {
      search.look(node);
      if (++visits % VISITS_PER_STEP === 0) yield VISITS_PER_STEP;
    }
    if (++visits % VISITS_PER_STEP === 0) yield VISITS_PER_STEP;
  }
  const { found } = search;
  // The node may have been removed and added again during the search, as another object.
  const node = found === undefined ? undefined : tree.findCluster(found.cluster)?.node(found.nodeId, found.label);
  if (node !== undefined) return node;
  throw new ApiError(
    status.NOT_FOUND,
    `There is no node ${text}: \`spanmesh nodes\` (ListNodes) shows those that are there.`,
  );
}

/**
 * The one of the nodes that a text names, or undefined.
 * @throws ApiError INVALID_ARGUMENT: several
 */
export function findOneNode(nodes: Iterable<Node>, text: string): Node | undefined {
  const search = new NodeSearch(text);
  for (const node of nodes) search.look(node);
  return search.found;
}

/** Collects the nodes that a text may name. Of the nodes whose ids begin with the text, only some are remembered. */
class NodeSearch {
  readonly #text: string;
  readonly #id: string;
  readonly #exact = new Candidates<Node>();
  readonly #prefixed = new Candidates<Node>();

  constructor(text: string) {
    this.#text = text;
    this.#id = text.toLowerCase();
  }

  look(node: Node): void {
    if (node.nodeId === this.#id || node.label === this.#text) this.#exact.add(node);
    else if (node.nodeId.startsWith(this.#id)) this.#prefixed.add(node);
  }

  /** @throws ApiError INVALID_ARGUMENT: several */
  get found(): Node | undefined {
    const found = this.#exact.count > 0 ? this.#exact : this.#prefixed;
    return found.only('node', this.#text, (node) =>
      node.label === '' ? node.nodeId : `${node.nodeId} (${node.label})`,
    );
  }
}

/** The objects that a text may name: their number, and the first of them. */
class Candidates<T> {
  count = 0;
  readonly #first: T[] = [];

  add(one: T): void {
    this.count++;
    if (this.#first.length < MAX_CANDIDATES) this.#first.push(one);
  }

  /**
   * The only candidate, or undefined if there is none.
   * @throws ApiError INVALID_ARGUMENT: several
   */
  only(what: string, text: string, name: (one: T) => string): T | undefined {
    if (this.count <= 1) return this.#first[0];
    const more = this.count > this.#first.length ? `, and ${this.count - this.#first.length} more` : '';
    const shown = this.#first.map(name).join(', ');
    throw invalid(`${text} may mean any ${what} of: ${shown}${more}. Name one of them by its id.`);
  }
}

/**
 * The connection that `text` names by its id, its number, or the label of a LNK_CONN on it.
 * @throws ApiError INVALID_ARGUMENT: several; NOT_FOUND: none
 */
export function* findConnection(state: Trees, text: string): Job<Connection> {
  if (text === '') throw invalid('Name a connection: its id, its number, or the label of a LNK_CONN on it.');
  const connection = yield* matchConnection(state, text);
  if (connection !== undefined) return connection;
  throw new ApiError(
    status.NOT_FOUND,
    `There is no connection ${text}: \`spanmesh conns\` (ListConnections) shows those that are there.`,
  );
}

/**
 * The connection that a text names, or undefined.
 * @throws ApiError INVALID_ARGUMENT: several
 */
export function* matchConnection(state: Trees, text: string): Job<Connection | undefined> {
  const { gateway: id, number: its } = splitId(text);
  const byId = state.gateways.get(id)?.connections.get(its);
  if (byId !== undefined && connectionId(byId) === text) return byId;
  const byNumber = new Candidates<Connection>();
  const byLabel = new Candidates<Connection>();
  const number = /^[1-9][0-9]*$/.test(text) ? Number(text) : Number.NaN;
  let visits = 0;
  for (const gateway of [...state.gateways.values()]) {
    const connection = gateway.connections.get(number);
    if (connection !== undefined) byNumber.add(connection);
    // The Map of connections may change between two steps of this search; its iterator allows that.
    for (const one of gateway.connections.values()) {
      for (const lnkConn of one.lnkConns) {
        if (++visits % VISITS_PER_STEP === 0) yield VISITS_PER_STEP;
        if (lnkConnData(lnkConn).payload.label !== text) continue;
        byLabel.add(one);
        break;
      }
      if (++visits % VISITS_PER_STEP === 0) yield VISITS_PER_STEP;
    }
  }
  const found = (byNumber.count > 0 ? byNumber : byLabel).only('connection', text, connectionId);
  return found?.removed === true ? undefined : found;
}

export function* nodesOf(tree: SpanTree): Iterable<Node> {
  for (const cluster of tree.clusters()) yield* cluster.nodes();
}
