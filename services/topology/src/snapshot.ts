import { StateChange } from '@spanmesh/proto/v1/gateway_control';

/**
 * Entries of a snapshot that a leader takes in: about ten times the largest installation that was measured (10,000 links,
 * 320,000 relays). A gateway that offers more is broken.
 */
export const MAX_SNAPSHOT_ENTRIES = 8_000_000;

/** A snapshot as it comes in; it counts only once it is complete, so that no choice is made on half of it. */
export class Snapshot {
  readonly all: StateChange = StateChange.create();
  #entries = 0;

  /** False: too large. */
  add(chunk: StateChange): boolean {
    const { all } = this;
    this.#append(all.connectionsOpened, chunk.connectionsOpened);
    this.#append(all.lnkConnsOpened, chunk.lnkConnsOpened);
    this.#append(all.linksOpened, chunk.linksOpened);
    this.#append(all.linkStatuses, chunk.linkStatuses);
    this.#append(all.refusals, chunk.refusals);
    this.#append(all.relaysOpen, chunk.relaysOpen);
    this.#append(all.onDemandOpened, chunk.onDemandOpened);
    this.#append(all.reachability, chunk.reachability);
    this.#append(all.clustersHeld, chunk.clustersHeld);
    this.#append(all.drains, chunk.drains);
    all.stopping ||= chunk.stopping;
    for (const set of chunk.relaysOpen) this.#entries += set.lnkConns.length;
    for (const set of chunk.onDemandOpened) this.#entries += set.lnkConns.length;
    all.obeyed = Math.max(all.obeyed, chunk.obeyed);
    all.lastNumber = Math.max(all.lastNumber, chunk.lastNumber);
    return this.#entries <= MAX_SNAPSHOT_ENTRIES;
  }

  #append<T>(to: T[], from: readonly T[]): void {
    for (const item of from) to.push(item);
    this.#entries += from.length;
  }
}
