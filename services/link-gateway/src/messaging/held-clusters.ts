import { clusterKeyText } from '@spanmesh/proto/cluster-key';
import type { StateChangeParts } from '@spanmesh/proto/state-change';
import type { ClusterKey } from '@spanmesh/proto/v1/types';
import { Turn } from '@spanmesh/runtime/turn';
import type { Reports } from '../attach/reports.ts';

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
  readonly #reports: Pick<Reports, 'clusterHeld' | 'clusterReleased'>;
  readonly #held = new Map<string, Held>();
  readonly #changed = new Set<Held>();
  readonly #turn = new Turn(() => this.#flush());

  constructor(reports: Pick<Reports, 'clusterHeld' | 'clusterReleased'>) {
    this.#reports = reports;
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

  /** Puts all into a snapshot: from then on topology knows them. */
  cut(parts: StateChangeParts): void {
    this.#changed.clear();
    for (const [text, held] of this.#held) {
      held.told = held.holds > 0;
      if (held.told) parts.put('clustersHeld', held.key);
      else this.#held.delete(text);
    }
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
        if (isHeld) this.#reports.clusterHeld(held.key);
        else this.#reports.clusterReleased(held.key);
      }
      if (!isHeld) this.#held.delete(clusterKeyText(held.key));
    }
    this.#changed.clear();
  }
}
