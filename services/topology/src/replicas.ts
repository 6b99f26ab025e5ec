import { type LeaderStatus, ReplicaRole, type ReplicaStatus } from '@spanmesh/proto/v1/topology';
import type { LeaseView } from './attach/leadership.ts';
import type { Presence } from './attach/presence.ts';
import type { Follower } from './replication/follower.ts';
import type { Publisher } from './replication/publisher.ts';
import { HIGHEST_U32, type ReplicasKnown, wholeMs } from './show/show-status.ts';
import type { View } from './trees/view.ts';

/** The most addresses that a gateway is given (gateway_control.proto, Welcome). */
const MAX_ADDRESSES = 16;

export interface ReplicasOptions {
  /** Where others reach this replica's service port, `host:port`. */
  readonly address: () => string;
  /** Version of the software. */
  readonly version: string;
}

export interface ReplicasDeps {
  readonly lease: LeaseView;
  readonly view: () => View | null;
  readonly presence: Pick<Presence, 'living'>;
  readonly publisher: Publisher;
  readonly follower: Follower;
}

/** The replicas of topology as this one knows them: itself, the leader, and the standbys that follow. */
export class Replicas {
  readonly #options: ReplicasOptions;
  readonly #deps: ReplicasDeps;

  constructor(options: ReplicasOptions, deps: ReplicasDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  known(): ReplicasKnown {
    const { lease } = this.#deps;
    const leader = this.#leader();
    const self = this.#self();
    const replicas = leader?.replica === lease.id ? this.leading() : [...this.#followed(leader), self];
    return { replica: lease.id, leader, replicas: replicas.sort(leaderFirst) };
  }

  /**
   * Addresses of this replica and of the others that it knows of, sorted. Gateways ask there for the leader while they
   * cannot read the lease.
   */
  addresses(): string[] {
    const { publisher, presence } = this.#deps;
    const addresses = new Set([this.#options.address()]);
    for (const { address } of publisher.standbys()) addresses.add(address);
    for (const { name } of presence.living('topology')) addresses.add(name);
    return [...addresses].slice(0, MAX_ADDRESSES).sort();
  }

  /** This replica and the standbys that follow it. */
  leading(): ReplicaStatus[] {
    return [this.#self(), ...this.#deps.publisher.standbys()];
  }

  /**
   * The leader and the other standbys as the leader reported them last, with their lags increased by the age of that
   * report.
   */
  #followed(leader: LeaderStatus | undefined): ReplicaStatus[] {
    if (leader === undefined) return [];
    const { follower, lease } = this.#deps;
    const told = follower.leader === leader.address && follower.isLive ? follower.replicas : [];
    const age = follower.view?.lagMs ?? 0;
    const others = told
      .filter(({ replica }) => replica !== lease.id)
      .map((one) => (one.role === ReplicaRole.REPLICA_ROLE_LEADER ? one : { ...one, lagMs: wholeMs(one.lagMs + age) }));
    return others.some(({ replica }) => replica === leader.replica) ? others : [leading(leader), ...others];
  }

  #leader(): LeaderStatus | undefined {
    const { lease } = this.#deps;
    const holder = lease.holder();
    if (holder === null || holder.address === '') return undefined;
    return {
      replica: lease.holderId,
      address: holder.address,
      epoch: Math.min(holder.epoch, HIGHEST_U32),
      fullEpoch: holder.epoch,
      leaseAgeMs: wholeMs(lease.ageMs),
    };
  }

  #self(): ReplicaStatus {
    const { lease, view } = this.#deps;
    const shown = view();
    return {
      replica: lease.id,
      address: this.#options.address(),
      role: shown?.role ?? ReplicaRole.REPLICA_ROLE_STANDBY,
      lagMs: wholeMs(shown?.lagMs ?? 0),
      hasState: shown !== null,
      version: this.#options.version,
      revision: shown?.history.revision ?? '',
    };
  }
}

function leaderFirst(a: ReplicaStatus, b: ReplicaStatus): number {
  const standbys =
    Number(a.role === ReplicaRole.REPLICA_ROLE_STANDBY) - Number(b.role === ReplicaRole.REPLICA_ROLE_STANDBY);
  return standbys !== 0 ? standbys : a.address < b.address ? -1 : 1;
}

/** The status of a leader of which only the lease is known. */
function leading({ replica, address }: LeaderStatus): ReplicaStatus {
  const role = ReplicaRole.REPLICA_ROLE_LEADER;
  return { replica, address, role, lagMs: 0, hasState: true, version: '', revision: '' };
}
