import { clusterKeyText } from '@spanmesh/proto/cluster-key';
import { StateChange } from '@spanmesh/proto/v1/gateway_control';
import type { ClusterKey } from '@spanmesh/proto/v1/types';
import { Turn } from '@spanmesh/runtime/turn';
import type { Deltas } from '../attach.ts';

interface Held {
  readonly key: ClusterKey;
  /** How often clients hold it. */
  holds: number;
  /** Topology has been told that it is held. */
  told: boolean;
}

/**
 * Clusters that the clients of this gateway hold, for topology: told once each, however many clients hold one. What is taken and
 * given back within a turn is not told at all, because within a delta the order does not matter (gateway_control.proto).
 */
export class HeldClusters {
  readonly #deltas: Deltas;
  readonly #held = new Map<string, Held>();
  readonly #changed = new Set<Held>();
  readonly #turn = new Turn(() => this.#flush());

  constructor(deltas: Deltas) {
    this.#deltas = deltas;
  }

  /** Clusters held. */
  get size(): number {
    let size = 0;
    for (const { holds } of this.#held.values()) if (holds > 0) size++;
    return size;
  }

  /** `key` is canonical. */
  hold(key: ClusterKey): void {
    const text = clusterKeyText(key);
    let held = this.#held.get(text);
    if (held === undefined) {
      held = { key, holds: 0, told: false };
      this.#held.set(text, held);
    }
    held.holds++;
    if (held.holds === 1) this.#change(held);
  }

  /** Once for each `hold`. */
  release(key: ClusterKey): void {
    const held = this.#held.get(clusterKeyText(key));
    if (held === undefined || held.holds === 0) return;
    held.holds--;
    if (held.holds === 0) this.#change(held);
  }

  /** All, as a part of a snapshot if there are any: from then on topology knows them. */
  cut(): StateChange[] {
    const all = StateChange.create();
    this.#changed.clear();
    for (const [text, held] of this.#held) {
      held.told = held.holds > 0;
      if (held.told) all.clustersHeld.push(held.key);
      else this.#held.delete(text);
    }
    return all.clustersHeld.length === 0 ? [] : [all];
  }

  #change(held: Held): void {
    this.#changed.add(held);
    this.#turn.request();
  }

  #flush(): void {
    for (const held of this.#changed) {
      const isHeld = held.holds > 0;
      if (isHeld !== held.told) {
        held.told = isHeld;
        const { delta } = this.#deltas;
        (isHeld ? delta.clustersHeld : delta.clustersReleased).push(held.key);
        this.#deltas.touch();
      }
      if (!isHeld) this.#held.delete(clusterKeyText(held.key));
    }
    this.#changed.clear();
  }
}
