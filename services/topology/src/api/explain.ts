import { status } from '@grpc/grpc-js';
import {
  type ExplainRequest,
  type ExplainResponse,
  type LnkConnExplanation,
  VerdictReason,
} from '@spanmesh/proto/v1/topology';
import { ApiError } from '@spanmesh/runtime/grpc/api-error';
import { firstAfter, type Key, pageOf, pageUnits, type Visit } from '@spanmesh/runtime/grpc/paging';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import { DIALECT_RULES } from '@spanmesh/spantree/dialects';
import type { Explanation, LnkConn, Node, Widths } from '@spanmesh/spantree/tree';
import { findConnection, findNode } from '../show/find.ts';
import { showNode } from '../show/show-cluster.ts';
import { showConnection, showLnkConn } from '../show/show-connection.ts';
import { showLink } from '../show/show-link.ts';
import { isWithheld } from '../trees/gateway.ts';
import { linkBytes, linkKey, lnkConnBytes } from '../trees/keys.ts';
import type { Trees } from '../trees/trees.ts';

/** Verdicts computed at a time; those that do not fit into the page are thrown away. */
const VERDICTS_AT_ONCE = 256;

/** A LNK_CONN, and how selection decides on one link for it. */
interface Found {
  readonly lnkConn: LnkConn;
  readonly explanation: Explanation;
}

/**
 * One page of the reasons why each link of a node is relayed to a connection, or not.
 * @throws ApiError INVALID_ARGUMENT, NOT_FOUND; FAILED_PRECONDITION: the node and the connection are of different
 * dialects
 */
export function* explain(
  state: Trees,
  widths: Widths,
  request: ExplainRequest,
): Job<Omit<ExplainResponse, 'revision'>> {
  const node = yield* findNode(state.tree, request.node);
  const connection = yield* findConnection(state, request.connection);
  const { dialect } = node.cluster;
  const lnkConns = [...connection.lnkConns].sort((a, b) => a.id - b.id);
  if (lnkConns.some((lnkConn) => lnkConn.filter.dialect !== dialect)) {
    const details = `The node is of the ${dialect} dialect, the connection is not: spans never pass between dialects.`;
    throw new ApiError(status.FAILED_PRECONDITION, details);
  }
  yield pageUnits(request);
  let before: LnkConn | undefined;
  const bytesOf = ({ lnkConn, explanation }: Found): number => {
    const first = lnkConn === before ? 0 : lnkConnBytes(lnkConn);
    before = lnkConn;
    return first + linkBytes(explanation.link);
  };
  const { items, nextPageToken } = pageOf((after) => verdictsFrom(state, node, lnkConns, after), request, bytesOf);
  return {
    node: showNode(node),
    connection: showConnection(connection),
    lnkConns: grouped(items, widths[dialect]),
    nextPageToken,
  };
}

/** The verdicts on a node's links for each LNK_CONN, after the given key, as items of a page. */
function* verdictsFrom(
  { tree }: Trees,
  node: Node,
  lnkConns: readonly LnkConn[],
  after: Key | undefined,
): Iterable<Visit<Found>> {
  const [number = 0, ...place] = after ?? [];
  for (const lnkConn of lnkConns) {
    if (lnkConn.id < Number(number)) continue;
    const isBegun = lnkConn.id === number;
    let at = isBegun ? firstAfter(node.links, place, linkKey) : 0;
    for (;;) {
      const explanations = tree.explain(node, lnkConn, at, VERDICTS_AT_ONCE);
      for (const explanation of explanations) {
        yield { item: { lnkConn, explanation }, key: () => [lnkConn.id, ...linkKey(explanation.link)] };
      }
      at += explanations.length;
      if (explanations.length < VERDICTS_AT_ONCE) break;
    }
  }
}

/** The verdicts of a page, grouped by LNK_CONN. */
function grouped(items: readonly Found[], width: number): LnkConnExplanation[] {
  const groups = new Map<LnkConn, LnkConnExplanation>();
  for (const { lnkConn, explanation } of items) {
    let group = groups.get(lnkConn);
    if (group === undefined) {
      group = { lnkConn: showLnkConn(lnkConn), width, verdicts: [] };
      groups.set(lnkConn, group);
    }
    const { link, open } = explanation;
    if (open && isWithheld(link, lnkConn)) {
      group.verdicts.push({ link: showLink(link), reason: VerdictReason.VERDICT_REASON_WITHHELD, relayed: false });
    } else {
      group.verdicts.push({ link: showLink(link), reason: reasonOf(explanation), relayed: open });
    }
  }
  return [...groups.values()];
}

function reasonOf({ verdict, refused, link }: Explanation): VerdictReason {
  switch (verdict) {
    case 'taken':
      return refused ? VerdictReason.VERDICT_REASON_REFUSED : VerdictReason.VERDICT_REASON_TAKEN;
    case 'too-far':
      return VerdictReason.VERDICT_REASON_TOO_FAR;
    case 'own-connection':
      return VerdictReason.VERDICT_REASON_SAME_CONNECTION;
    case 'peer-mask':
      return VerdictReason.VERDICT_REASON_PEER_MASK;
    case 'other-cluster':
      return DIALECT_RULES[link.span.dialect].filter === 'hammer2'
        ? VerdictReason.VERDICT_REASON_OTHER_CLUSTER
        : VerdictReason.VERDICT_REASON_OTHER_PEER_ID;
    case 'both-clients':
      return VerdictReason.VERDICT_REASON_BOTH_CLIENTS;
    case 'unreachable':
      return VerdictReason.VERDICT_REASON_UNREACHABLE;
    case 'after-stop':
      return VerdictReason.VERDICT_REASON_AFTER_STOP;
    case 'width-full':
      return VerdictReason.VERDICT_REASON_WIDTH_FULL;
    case 'other-dialect':
      return VerdictReason.VERDICT_REASON_UNSPECIFIED;
  }
}
