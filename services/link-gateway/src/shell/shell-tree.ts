import type { DialectRules } from '@spanmesh/dmsg/dialect';
import type { ClusterTree, GetTreeResponse, LinkTree, NodeTree } from '@spanmesh/proto/v1/topology';

/** Shown in place of the msgid of a relay on another gateway. */
const UNKNOWN_MSGID = '-'.repeat(16);

/**
 * Makes the output of `tree` (protocol.md, "Debug shell") from the parts of topology's answer, line by line.
 * `relayMsgid` returns the msgid of a relay of this gateway, null for others.
 */
export class TreeText {
  /** The shell of circuit, which shows more than that of linkid. */
  readonly #stacked: boolean;
  readonly #relayMsgid: (linkId: string, lnkConnId: string) => string | null;
  /** Key of the last cluster shown: the next part may continue it. */
  #lastCluster = '';
  /** Key of the last node and id of the last link shown, for the same reason. */
  #lastNode = '';
  #lastLink = '';

  constructor(
    { stacked }: Pick<DialectRules, 'stacked'>,
    relayMsgid: (linkId: string, lnkConnId: string) => string | null,
  ) {
    this.#stacked = stacked;
    this.#relayMsgid = relayMsgid;
  }

  /** The lines of one part, without line ends, as byte strings. */
  *lines(part: GetTreeResponse): Generator<string> {
    for (const tree of part.clusters) {
      const key = tree.cluster?.key;
      const id = `${key?.peerType} ${key?.id} ${key?.peerLabel}`;
      if (id !== this.#lastCluster) {
        this.#lastNode = '';
        yield this.#cluster(tree);
      }
      this.#lastCluster = id;
      for (const node of tree.nodes) yield* this.#node(node);
    }
  }

  #cluster({ cluster }: ClusterTree): string {
    const key = cluster?.key;
    if (!this.#stacked) return `Cluster ${key?.id}`;
    return `Cluster ${cluster?.peerTypeName} ${key?.id} (${printable(key?.peerLabel ?? '')})`;
  }

  *#node({ node, links }: NodeTree): Generator<string> {
    if (node === undefined) return;
    const label = printable(this.#stacked ? (node.key?.label ?? '') : node.label);
    const type = this.#stacked ? `${hex(node.pfsType, 2)} ` : '';
    const id = `${node.key?.id} ${node.key?.label}`;
    if (id !== this.#lastNode) {
      this.#lastLink = '';
      yield `    Node ${type}${node.key?.id} (${label})`;
    }
    this.#lastNode = id;
    for (const link of links) yield* this.#link(link);
  }

  *#link({ link, relays }: LinkTree): Generator<string> {
    if (link === undefined) return;
    const via = connectionNumber(link.connection);
    const isNew = link.id !== this.#lastLink;
    this.#lastLink = link.id;
    if (!this.#stacked) {
      if (isNew) yield `\tLink dist=${link.dist} via ${via}`;
      return;
    }
    if (isNew) yield `\tSLink msgid ${hex(link.msgid, 16)} dist=${link.dist} via ${via}`;
    for (const relay of relays) {
      if (relay.withheld) continue;
      const msgid = this.#relayMsgid(link.id, relay.lnkConn) ?? UNKNOWN_MSGID;
      yield `\t    Relay-out msgid ${msgid} via ${connectionNumber(relay.connection)}`;
    }
  }
}

/** A connection's number from its id, `<gateway>:<number>`. */
function connectionNumber(id: string): string {
  return id.slice(id.lastIndexOf(':') + 1);
}

function hex(value: number | bigint, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/**
 * A peer's text for the terminals of others: a byte string without control characters. Bytes 0x80 to 0x9f (0x9b begins
 * a control sequence) are replaced anywhere: a terminal that does not read UTF-8 obeys them inside a character, too.
 */
export function printable(text: string): string {
  let shown = '';
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    shown += code < 0x20 || (code >= 0x7f && code < 0xa0) || code > 0xff ? '?' : char;
  }
  return shown;
}
