import { appendSnapshot } from '@spanmesh/proto/state-change';
import { StateChange } from '@spanmesh/proto/v1/gateway_control';

/**
 * Entries of a snapshot that a leader accepts: about ten times the largest installation that was measured (10,000
 * links, 320,000 relays). A gateway that sends more is faulty.
 */
export const MAX_SNAPSHOT_ENTRIES = 8_000_000;

/**
 * A snapshot that is being received. It is used only when it is complete, so that no relay is selected from half of it.
 */
export class Snapshot {
  readonly all: StateChange = StateChange.create();
  #entries = 0;

  /** Adds a part. False: the snapshot is too large. */
  add(chunk: StateChange): boolean {
    this.#entries += appendSnapshot(this.all, chunk);
    return this.#entries <= MAX_SNAPSHOT_ENTRIES;
  }
}
