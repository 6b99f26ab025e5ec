/*
 * A second implementation of the selection, as plain as possible, for the property tests: it computes everything anew
 * at every flush, keeps pairs by name in maps, and shares only the input types with the tree.
 */
import type { LnkConnFilter, SpanKey } from '../span.ts';

export interface OracleConnection {
  readonly gateway: string;
  suspect: boolean;
}

export interface OracleLnkConn {
  readonly id: number;
  readonly connection: OracleConnection;
  readonly filter: LnkConnFilter;
}

export interface OracleLink {
  readonly id: number;
  readonly connection: OracleConnection;
  readonly span: SpanKey;
}

/**
 * The state of a (node, LNK_CONN): the links that the last flush took and that have not gone since, and which of those
 * are open and which refused.
 */
interface Pair {
  taken: Set<number>;
  open: Set<number>;
  refused: Set<number>;
}

export const pairName = (lnkConn: number, link: number): string => `${lnkConn}/${link}`;

/** Takes the same changes as a SpanTree, and says which relays should be open after a flush. */
export class Oracle {
  readonly #width: Readonly<Record<SpanKey['dialect'], number>>;
  readonly #maxDist: number;
  connections: OracleConnection[] = [];
  lnkConns: OracleLnkConn[] = [];
  links: OracleLink[] = [];
  /** By gateway: the gateways that it cannot reach. */
  readonly unreachable = new Map<string, ReadonlySet<string>>();
  /** Gateways whose LNK_CONNs' relays flushes do not change. */
  readonly held = new Set<string>();
  #pairs = new Map<string, Pair>();

  constructor(linkidWidth: number, circuitWidth: number, maxDist: number) {
    this.#width = { linkid: linkidWidth, circuit: circuitWidth };
    this.#maxDist = maxDist;
  }

  removeLink(link: OracleLink): void {
    this.links = this.links.filter((l) => l !== link);
    for (const pair of this.#pairs.values()) {
      if (!pair.taken.delete(link.id)) continue;
      // The set of taken links changes at this moment: refusals so far are forgotten, one that comes before the next
      // flush is not.
      pair.open.delete(link.id);
      for (const refused of pair.refused) pair.taken.delete(refused);
      pair.refused.clear();
    }
  }

  removeLnkConn(lnkConn: OracleLnkConn): void {
    this.lnkConns = this.lnkConns.filter((k) => k !== lnkConn);
    this.forgetRelays(lnkConn);
  }

  removeConnection(connection: OracleConnection): void {
    for (const link of this.links) if (link.connection === connection) this.removeLink(link);
    for (const lnkConn of this.lnkConns) if (lnkConn.connection === connection) this.removeLnkConn(lnkConn);
    this.connections = this.connections.filter((c) => c !== connection);
  }

  refuse(lnkConn: OracleLnkConn, link: OracleLink): void {
    const pair = this.#pair(lnkConn, link.span);
    if (pair.open.delete(link.id)) pair.refused.add(link.id);
  }

  adopt(lnkConn: OracleLnkConn, link: OracleLink, refused: boolean): void {
    const pair = this.#pair(lnkConn, link.span);
    pair.taken.add(link.id);
    pair.open.delete(link.id);
    pair.refused.delete(link.id);
    (refused ? pair.refused : pair.open).add(link.id);
  }

  forgetRelays(lnkConn: OracleLnkConn): void {
    for (const name of [...this.#pairs.keys()]) if (name.startsWith(`${lnkConn.id}|`)) this.#pairs.delete(name);
  }

  flush(): void {
    for (const lnkConn of this.lnkConns) {
      if (this.held.has(lnkConn.connection.gateway)) continue;
      for (const span of this.#nodes(lnkConn.filter.dialect)) {
        const taken = new Set(this.select(lnkConn, span).map((l) => l.id));
        const pair = this.#pair(lnkConn, span);
        if (taken.symmetricDifference(pair.taken).size === 0) continue;
        pair.taken = taken;
        pair.open = new Set(taken);
        pair.refused = new Set();
      }
    }
    const live = new Set(this.links.map((l) => nodeName(l.span)));
    for (const name of [...this.#pairs.keys()]) {
      if (!live.has(name.slice(name.indexOf('|') + 1))) this.#pairs.delete(name);
    }
  }

  open(): Set<string> {
    return this.#named((pair) => pair.open);
  }

  refused(): Set<string> {
    return this.#named((pair) => pair.refused);
  }

  /** The links of `span`'s node that selection takes for the LNK_CONN. */
  select(lnkConn: OracleLnkConn, span: SpanKey): OracleLink[] {
    const { dialect } = lnkConn.filter;
    const links = this.links
      .filter((l) => nodeName(l.span) === nodeName(span))
      .filter((l) => this.unreachable.get(lnkConn.connection.gateway)?.has(l.connection.gateway) !== true);
    const rank = (l: OracleLink): (number | string)[] => [
      distOf(l.span),
      dialect === 'linkid' ? 0 : toUnsigned(l.span.rnss),
      l.connection.suspect ? 1 : 0,
      l.span.stamp,
      l.connection.gateway,
      l.id,
    ];
    links.sort((a, b) => {
      const [left, right] = [rank(a), rank(b)];
      const differs = left.findIndex((v, i) => v !== right[i]);
      return differs < 0 ? 0 : left[differs]! < right[differs]! ? -1 : 1;
    });
    const stop = links.findIndex((l) => !this.#passes(lnkConn, l));
    return links.slice(0, stop < 0 ? links.length : stop).slice(0, this.#width[dialect]);
  }

  #passes({ connection, filter }: OracleLnkConn, link: OracleLink): boolean {
    const { span } = link;
    if (distOf(span) > this.#maxDist || link.connection === connection) return false;
    const mask = (BigInt(filter.peerMaskHi) << 32n) | BigInt(filter.peerMaskLo);
    if (((mask >> BigInt(span.peerType)) & 1n) === 0n) return false;
    const nil = (uuid: string): boolean => /^[0-]*$/.test(uuid);
    if (span.dialect === 'linkid') {
      const both = span.peerType === 3 && filter.peerType === 3;
      return !(both && !nil(span.clusterId) && span.clusterId !== filter.clusterId);
    }
    if (filter.peerType !== 63) return true;
    return span.peerType !== 63 && (nil(filter.clusterId) || span.clusterId === filter.clusterId);
  }

  /** A span of each node. */
  #nodes(dialect: SpanKey['dialect']): Iterable<SpanKey> {
    const spans = this.links.map((l) => l.span).filter((s) => s.dialect === dialect);
    return new Map(spans.map((span) => [nodeName(span), span])).values();
  }

  #pair(lnkConn: OracleLnkConn, span: SpanKey): Pair {
    const name = `${lnkConn.id}|${nodeName(span)}`;
    let pair = this.#pairs.get(name);
    if (pair === undefined) {
      pair = { taken: new Set(), open: new Set(), refused: new Set() };
      this.#pairs.set(name, pair);
    }
    return pair;
  }

  #named(which: (pair: Pair) => Set<number>): Set<string> {
    const names = new Set<string>();
    for (const [name, pair] of this.#pairs) {
      for (const link of which(pair)) names.add(pairName(Number.parseInt(name, 10), link));
    }
    return names;
  }
}

const names = new WeakMap<SpanKey, string>();

/** A text that identifies the node of a span. */
export function nodeName(span: SpanKey): string {
  let name = names.get(span);
  if (name === undefined) {
    const { dialect, clusterId, nodeId, peerType, peerLabel, label } = span;
    name = JSON.stringify(dialect === 'linkid' ? [clusterId, nodeId] : [peerType, clusterId, peerLabel, label, nodeId]);
    names.set(span, name);
  }
  return name;
}

/** A negative dist is 0: no link is nearer than the origin of a span. */
function distOf({ dialect, dist }: SpanKey): number {
  return dialect === 'linkid' ? Math.max(0, toSigned(dist)) : toUnsigned(dist);
}

const toSigned = (n: number): number => Number(BigInt.asIntN(32, BigInt(n)));
const toUnsigned = (n: number): number => Number(BigInt.asUintN(32, BigInt(n)));
