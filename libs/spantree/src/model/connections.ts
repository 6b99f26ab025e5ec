import type { Connection } from './parts.ts';

/** The connections of a tree, by gateway. */
export class Connections {
  readonly #byGateway = new Map<string, Set<Connection>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The connections of one gateway. */
  of(gateway: string): Iterable<Connection> {
    return this.#byGateway.get(gateway) ?? [];
  }

  add(connection: Connection): void {
    const all = this.#byGateway.get(connection.gateway);
    if (all === undefined) this.#byGateway.set(connection.gateway, new Set([connection]));
    else all.add(connection);
    this.#size++;
  }

  /** The connection must be in the collection. */
  remove(connection: Connection): void {
    this.#size--;
    const all = this.#byGateway.get(connection.gateway);
    all?.delete(connection);
    if (all?.size === 0) this.#byGateway.delete(connection.gateway);
  }
}
