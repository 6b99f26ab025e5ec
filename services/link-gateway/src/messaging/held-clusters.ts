import { clusterKeyText } from '@spanmesh/proto/cluster-key';
import type { StateChangeParts } from '@spanmesh/proto/state-change';
import type { ClusterKey } from '@spanmesh/proto/v1/types';
import { Turn } from '@spanmesh/runtime/turn';
import type { Reports } from '../attach/reports.ts';

interface Held {
  readonly key: ClusterKey;
  /** Number of handles on the cluster. */
  holds: number;
  /** It was reported to topology that the cluster is held. */
  told: boolean;
}

/**
 * The clusters that clients of this gateway hold. Each is reported to topology once, however many handles are on it. A
 * cluster that is held and released within a turn is not reported at all, because a delta has no order
 * (gateway_control.proto).
 */
export class HeldClusters {
  readonly #reports: Pick<Reports, 'tell'>;
  readonly #held = new Map<string, Held>();
  readonly #changed = new Set<Held>();
  readonly #turn = new Turn(() => this.#flush());

  constructor(reports: Pick<Reports, 'tell'>) {
    this.#reports = reports;
  }

  /** Number of clusters held. */
  get size(): number {
    let size = 0;
    for (const { holds } of this.#held.values()) if (holds > 0) size++;
    return size;
  }

  /** A client holds the cluster. `key` is canonical. */
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

  /** A client holds the cluster no more; called once for each `hold`. */
  release(key: ClusterKey): void {
    const held = this.#held.get(clusterKeyText(key));
    if (held === undefined || held.holds === 0) return;
    held.holds--;
    if (held.holds === 0) this.#change(held);
  }

  /** Puts all held clusters into a snapshot; from then on topology knows them. */
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
        this.#reports.tell(isHeld ? 'clustersHeld' : 'clustersReleased', held.key);
      }
      if (!isHeld) this.#held.delete(clusterKeyText(held.key));
    }
    this.#changed.clear();
  }
}
