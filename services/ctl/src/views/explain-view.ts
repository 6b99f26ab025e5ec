import {
  type ExplainResponse,
  type LinkVerdict,
  type LnkConnExplanation,
  VerdictReason,
} from '@spanmesh/proto/v1/topology';
import type { Paint } from '../output/paint.ts';
import { printable } from '../output/printable.ts';
import { type Column, renderTable } from '../output/table.ts';
import { clusterText, count, dialectName, dialectOf, distText, peerType, quoted } from './words.ts';

/** The reasons of verdicts, in words that need no manual. */
export const REASONS: Readonly<Record<VerdictReason, string>> = {
  [VerdictReason.VERDICT_REASON_UNSPECIFIED]: 'no reason given',
  [VerdictReason.VERDICT_REASON_TAKEN]: 'taken',
  [VerdictReason.VERDICT_REASON_REFUSED]:
    'taken, but the peer closed the relay; offered again when the selection changes',
  [VerdictReason.VERDICT_REASON_TOO_FAR]: 'its dist is over the limit; the walk stops here',
  [VerdictReason.VERDICT_REASON_SAME_CONNECTION]: 'it came in on this very connection; the walk stops here',
  [VerdictReason.VERDICT_REASON_PEER_MASK]: 'the peer_mask does not accept its peer type; the walk stops here',
  [VerdictReason.VERDICT_REASON_OTHER_CLUSTER]: 'both sides are HAMMER2 of different clusters; the walk stops here',
  [VerdictReason.VERDICT_REASON_BOTH_CLIENTS]: 'both sides are CLIENT; the walk stops here',
  [VerdictReason.VERDICT_REASON_OTHER_PEER_ID]: 'the CLIENT wants another peer_id; the walk stops here',
  [VerdictReason.VERDICT_REASON_WIDTH_FULL]: 'enough better links are taken',
  [VerdictReason.VERDICT_REASON_AFTER_STOP]: 'the walk had stopped at a better link',
  [VerdictReason.VERDICT_REASON_UNREACHABLE]: "its gateway cannot be reached from the LNK_CONN's; skipped",
  [VerdictReason.VERDICT_REASON_WITHHELD]:
    "taken, but withheld: its offerer is over its share of relays at the LNK_CONN's gateway; status names it",
  [VerdictReason.UNRECOGNIZED]: 'a reason that this command is too old to know',
};

const COLUMNS: readonly Column<LinkVerdict>[] = [
  { heading: 'LINK', text: (v) => printable(v.link?.id ?? '') },
  { heading: 'DIST', align: 'right', text: (v) => distText(v.link?.dist ?? 0, dialectOf(v.link?.node)) },
  { heading: 'RNSS', align: 'right', text: (v) => String(v.link?.rnss ?? 0) },
  { heading: 'VIA', text: (v) => printable(v.link?.connection ?? '') },
  { heading: 'RELAYED', text: (v) => (v.relayed ? 'yes' : 'no'), role: (v) => (v.relayed ? 'good' : 'bad') },
  { heading: 'WHY', text: (v) => REASONS[v.reason] },
];

/**
 * The answer of Explain: the node and the connection that were meant, then for each LNK_CONN the node's links in order
 * with their verdicts.
 */
export function renderExplanation(answer: ExplainResponse, paint: Paint): string {
  const { node, connection } = answer;
  const lines = [
    `node       ${[paint('node', printable(node?.key?.id ?? '?')), quoted(node?.label ?? '')].filter(Boolean).join(' ')}`,
    `cluster    ${paint('cluster', clusterText(node?.key?.cluster))}`,
    `connection ${printable(connection?.id ?? '?')} ${dialectName(connection?.dialect)} ${printable(connection?.remoteAddress ?? '')}`,
  ];
  if (answer.lnkConns.length === 0) lines.push('', 'No LNK_CONN is open on the connection: nothing is relayed to it.');
  let text = `${lines.join('\n')}\n`;
  for (const explanation of answer.lnkConns) text += `\n${renderLnkConn(explanation, paint)}`;
  return text;
}

function renderLnkConn({ lnkConn, width, verdicts }: LnkConnExplanation, paint: Paint): string {
  const who = [printable(lnkConn?.id ?? '?'), peerType(lnkConn?.peerType ?? 0), quoted(lnkConn?.label ?? '')];
  const head = `LNK_CONN ${who.filter(Boolean).join(' ')}: at most ${count(width, 'link')} of a node\n`;
  return head + (verdicts.length === 0 ? 'The node has no links.\n' : renderTable(COLUMNS, verdicts, paint));
}
