import { appendSnapshot } from '@spanmesh/proto/state-change';
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
    this.#entries += appendSnapshot(this.all, chunk);
    return this.#entries <= MAX_SNAPSHOT_ENTRIES;
  }
}
