import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import type { ClusterKey } from '@spanmesh/proto/v1/types';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { ApiError, invalid } from '@spanmesh/runtime/grpc/api-error';
import type { CallShares } from '@spanmesh/runtime/grpc/call-shares';
import type { HeldClusters } from './held-clusters.ts';
import { DEFAULT_LEASE_MS, MAX_LEASE_MS, MAX_RENEWALS } from './limits.ts';

interface Handle {
  readonly cluster: ClusterKey;
  readonly leaseMs: number;
  /** Gives the handle's place in the shares back. */
  readonly close: () => void;
  /** Milliseconds of the monotonic clock. */
  expiresAt: number;
  timer: Timer;
}

/** Keeps clients' handles on clusters. Each holds its cluster until it is released or its lease runs out. */
export class Handles {
  readonly #held: HeldClusters;
  readonly #clock: Clock;
  readonly #shares: Pick<CallShares<'handles'>, 'begin'>;
  readonly #handles = new Map<string, Handle>();

  constructor({
    held,
    clock,
    shares,
  }: {
    held: HeldClusters;
    clock: Clock;
    /** Limits the handles in all and of one user. */
    shares: Pick<CallShares<'handles'>, 'begin'>;
  }) {
    this.#held = held;
    this.#clock = clock;
    this.#shares = shares;
  }

  get size(): number {
    return this.#handles.size;
  }

  /**
   * Makes a handle. `cluster` is canonical; `leaseMs` 0: the default; `principal`: the user. When all handles are
   * taken, a handle of the user that has most is released.
   * @throws ApiError INVALID_ARGUMENT: the lease is too long; RESOURCE_EXHAUSTED: too many handles
   */
  acquire(cluster: ClusterKey, leaseMs: number, principal: string): { handle: string; leaseMs: number } {
    if (leaseMs > MAX_LEASE_MS) throw invalid(`A lease has at most ${MAX_LEASE_MS} ms: renew it instead.`);
    const lease = leaseMs === 0 ? DEFAULT_LEASE_MS : leaseMs;
    // The handle is random, so that it cannot be guessed: anybody who knows a handle can release it.
    const id = randomUUID();
    const handle: Handle = {
      cluster,
      close: this.#shares.begin('handles', principal, () => this.release(id)),
      leaseMs: lease,
      expiresAt: this.#clock.now() + lease,
      timer: this.#watch(id, lease),
    };
    this.#handles.set(id, handle);
    this.#held.hold(cluster);
    return { handle: id, leaseMs: lease };
  }

  /**
   * Renews the handles that exist, even if others of `ids` do not.
   * @throws ApiError INVALID_ARGUMENT: too many at once; NOT_FOUND: names the handles that are gone
   */
  renew(ids: readonly string[]): void {
    if (ids.length > MAX_RENEWALS) throw invalid(`A call renews at most ${MAX_RENEWALS} handles.`);
    const now = this.#clock.now();
    const gone: string[] = [];
    for (const id of ids) {
      const handle = this.#handles.get(id);
      if (handle === undefined) gone.push(id.slice(0, 64));
      else handle.expiresAt = now + handle.leaseMs;
    }
    if (gone.length === 0) return;
    throw new ApiError(status.NOT_FOUND, `Gone, to be acquired again: ${gone.join(', ')}`);
  }

  /** Releases a handle; one that is gone already is no error. */
  release(id: string): void {
    const handle = this.#handles.get(id);
    if (handle === undefined) return;
    handle.close();
    handle.timer.cancel();
    this.#handles.delete(id);
    this.#held.release(handle.cluster);
  }

  /** Releases all handles. */
  clear(): void {
    for (const id of [...this.#handles.keys()]) this.release(id);
  }

  /**
   * Releases the handle when its lease runs out. Renewing does not touch the timer: when it fires it looks whether time
   * is left.
   */
  #watch(id: string, ms: number): Timer {
    return this.#clock.after(ms, () => {
      const handle = this.#handles.get(id);
      if (handle === undefined) return;
      const left = handle.expiresAt - this.#clock.now();
      if (left > 0) handle.timer = this.#watch(id, left);
      else this.release(id);
    });
  }
}
