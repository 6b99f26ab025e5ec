import { type Change, ChangeKind } from '@spanmesh/proto/v1/topology';
import type { Trees } from './trees.ts';

/** The ids that a client knows which has listed the trees once and then follows their changes. */
export class Mirror {
  readonly #connections = new Set<string>();
  readonly #links = new Set<string>();
  /** For each link the LNK_CONNs on which it is relayed. */
  readonly #relays = new Map<string, Set<string>>();

  /** Takes a full list; what was known before is forgotten. */
  take(trees: Trees): void {
    this.#connections.clear();
    this.#links.clear();
    this.#relays.clear();
    for (const { id } of trees.connections) this.#connections.add(id);
    for (const { id } of trees.links) this.#links.add(id);
    for (const { link, lnkConn } of trees.relays) this.#relaysOf(link).add(lnkConn);
  }

  /** Takes a change from a watch with relays. */
  apply({ kind, connection, link, lnkConn, relays }: Change): void {
    const isGone = kind === ChangeKind.CHANGE_KIND_REMOVED;
    if (connection !== undefined) {
      if (isGone) this.#connections.delete(connection.id);
      else this.#connections.add(connection.id);
    }
    if (link !== undefined) {
      if (!isGone) this.#links.add(link.id);
      else {
        this.#links.delete(link.id);
        this.#relays.delete(link.id);
      }
    }
    if (lnkConn !== undefined && isGone) for (const lnkConns of this.#relays.values()) lnkConns.delete(lnkConn.id);
    if (relays !== undefined) {
      const there = this.#relaysOf(relays.link);
      for (const id of relays.lnkConns) {
        if (isGone) there.delete(id);
        else there.add(id);
      }
    }
  }

  /** How the known ids differ from what a replica shows now. */
  differences({ connections, links, relays }: Trees): string[] {
    const have = [...this.#relays].flatMap(([link, lnkConns]) => [...lnkConns].map((lnkConn) => `${link}>${lnkConn}`));
    return [
      ...compare('connection', this.#connections, new Set(connections.map(({ id }) => id))),
      ...compare('link', this.#links, new Set(links.map(({ id }) => id))),
      ...compare('relay', new Set(have), new Set(relays.map(({ link, lnkConn }) => `${link}>${lnkConn}`))),
    ];
  }

  #relaysOf(link: string): Set<string> {
    let found = this.#relays.get(link);
    if (found === undefined) {
      found = new Set();
      this.#relays.set(link, found);
    }
    return found;
  }
}

function compare(what: string, has: ReadonlySet<string>, should: ReadonlySet<string>): string[] {
  return [
    ...[...should].filter((one) => !has.has(one)).map((one) => `a watcher has missed the ${what} ${one}`),
    ...[...has].filter((one) => !should.has(one)).map((one) => `a watcher still has the ${what} ${one}`),
  ];
}
