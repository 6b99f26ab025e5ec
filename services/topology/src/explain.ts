import { status } from '@grpc/grpc-js';
import { type ExplainRequest, type ExplainResponse, VerdictReason } from '@spanmesh/proto/v1/topology';
import type { Explanation } from '@spanmesh/spantree/tree';
import { ApiError } from './api-error.ts';
import { findConnection, findNode } from './find.ts';
import { showNode } from './show-cluster.ts';
import { showConnection, showLnkConn } from './show-connection.ts';
import { showLink } from './show-link.ts';
import type { Trees } from './trees.ts';

/**
 * Why each link of a node is relayed to a connection, or not.
 * @throws ApiError INVALID_ARGUMENT, NOT_FOUND; FAILED_PRECONDITION: the two have nothing to do with each other
 */
export function explain(
  state: Trees,
  widths: { readonly linkid: number; readonly circuit: number },
  request: ExplainRequest,
): Omit<ExplainResponse, 'revision'> {
  const node = findNode(state.tree, request.node);
  const connection = findConnection(state, request.connection);
  const { dialect } = node.cluster;
  const lnkConns = [...connection.lnkConns].sort((a, b) => a.id - b.id);
  if (lnkConns.some((lnkConn) => lnkConn.filter.dialect !== dialect)) {
    const details = `The node is of the ${dialect} dialect, the connection is not: spans never pass between dialects.`;
    throw new ApiError(status.FAILED_PRECONDITION, details);
  }
  return {
    node: showNode(node),
    connection: showConnection(connection),
    lnkConns: lnkConns.map((lnkConn) => ({
      lnkConn: showLnkConn(lnkConn),
      width: widths[dialect],
      verdicts: state.tree.explain(node, lnkConn).map((explanation) => ({
        link: showLink(explanation.link),
        reason: reasonOf(explanation),
        relayed: explanation.open,
      })),
    })),
  };
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
      return link.span.dialect === 'linkid'
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
