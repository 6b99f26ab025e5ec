import { status } from '@grpc/grpc-js';
import type { Connection, Node, SpanTree } from '@spanmesh/spantree/tree';
import { ApiError, invalid } from './api-error.ts';
import { lnkConnData } from './gateway.ts';
import { connectionId } from './show-ids.ts';
import type { Trees } from './trees.ts';

/** Candidates that an answer lists. */
const MAX_CANDIDATES = 10;

/**
 * The node that `text` means: its id, its label, or a prefix of its id.
 * @throws ApiError INVALID_ARGUMENT: several; NOT_FOUND: none
 */
export function findNode(tree: SpanTree, text: string): Node {
  if (text === '') throw invalid('Name a node: its id, its label, or the beginning of its id.');
  const found = findOneNode(nodesOf(tree), text);
  if (found !== undefined) return found;
  throw new ApiError(status.NOT_FOUND, `There is no node ${text}: ListNodes shows those that are there.`);
}

/**
 * The same among some nodes, undefined for none.
 * @throws ApiError INVALID_ARGUMENT: several
 */
export function findOneNode(nodes: Iterable<Node>, text: string): Node | undefined {
  const id = text.toLowerCase();
  const exact: Node[] = [];
  const prefixed: Node[] = [];
  for (const node of nodes) {
    if (node.nodeId === id || node.label === text) exact.push(node);
    else if (node.nodeId.startsWith(id)) prefixed.push(node);
  }
  const found = exact.length > 0 ? exact : prefixed;
  if (found.length > 1) {
    throw ambiguous(
      'node',
      text,
      found.map((node) => (node.label === '' ? node.nodeId : `${node.nodeId} (${node.label})`)),
    );
  }
  return found[0];
}

/**
 * The connection that `text` means: its id, its number, or the label of a LNK_CONN on it.
 * @throws ApiError INVALID_ARGUMENT: several; NOT_FOUND: none
 */
export function findConnection(state: Trees, text: string): Connection {
  if (text === '') throw invalid('Name a connection: its id, its number, or the label of a LNK_CONN on it.');
  const connection = matchConnection(state, text);
  if (connection !== undefined) return connection;
  throw new ApiError(
    status.NOT_FOUND,
    `There is no connection ${text}: \`spanmesh conns\` (ListConnections) shows those that are there.`,
  );
}

/**
 * The same, undefined for none.
 * @throws ApiError INVALID_ARGUMENT: several
 */
export function matchConnection(state: Trees, text: string): Connection | undefined {
  const colon = text.lastIndexOf(':');
  const byId = state.gateways.get(text.slice(0, colon))?.connections.get(Number(text.slice(colon + 1)));
  if (byId !== undefined && connectionId(byId) === text) return byId;
  const byNumber: Connection[] = [];
  const byLabel: Connection[] = [];
  const number = /^[1-9][0-9]*$/.test(text) ? Number(text) : Number.NaN;
  for (const gateway of state.gateways.values()) {
    const connection = gateway.connections.get(number);
    if (connection !== undefined) byNumber.push(connection);
    for (const one of gateway.connections.values()) {
      for (const lnkConn of one.lnkConns) {
        if (lnkConnData(lnkConn).payload.label !== text) continue;
        byLabel.push(one);
        break;
      }
    }
  }
  const found = byNumber.length > 0 ? byNumber : byLabel;
  if (found.length > 1) throw ambiguous('connection', text, found.map(connectionId));
  return found[0];
}

export function* nodesOf(tree: SpanTree): Iterable<Node> {
  for (const cluster of tree.clusters()) yield* cluster.nodes();
}

function ambiguous(what: string, text: string, candidates: readonly string[]): ApiError {
  const shown = candidates.slice(0, MAX_CANDIDATES).join(', ');
  const more = candidates.length > MAX_CANDIDATES ? `, and ${candidates.length - MAX_CANDIDATES} more` : '';
  return invalid(`${text} may mean any ${what} of: ${shown}${more}. Name one of them by its id.`);
}
