import { type LeaderStatus, ReplicaRole, type ReplicaStatus } from '@spanmesh/proto/v1/topology';
import type { History } from './history.ts';
import type { Leadership, LeaseView } from './leadership.ts';
import { type ReplicasKnown, wholeMs } from './show-status.ts';

export interface ReplicasOptions {
  /** Where others reach this replica's service port, `host:port`. */
  readonly address: () => string;
  /** Of the software. */
  readonly version: string;
}

/** The replicas of topology as this one knows them: itself, and whoever leads. */
export class Replicas {
  readonly #options: ReplicasOptions;
  readonly #deps: { readonly lease: LeaseView; readonly leadership: Leadership; readonly history: History };

  constructor(
    options: ReplicasOptions,
    deps: { readonly lease: LeaseView; readonly leadership: Leadership; readonly history: History },
  ) {
    this.#options = options;
    this.#deps = deps;
  }

  known(): ReplicasKnown {
    const { lease } = this.#deps;
    const leader = this.#leader();
    const replicas = [this.#self()];
    if (leader !== undefined && leader.replica !== lease.id) replicas.unshift(leading(leader));
    return { replica: lease.id, leader, replicas };
  }

  #leader(): LeaderStatus | undefined {
    const { lease } = this.#deps;
    const holder = lease.holder();
    if (holder === null || holder.address === '') return undefined;
    return {
      replica: lease.holderId,
      address: holder.address,
      epoch: holder.epoch,
      leaseAgeMs: wholeMs(lease.ageMs),
    };
  }

  #self(): ReplicaStatus {
    const { lease, leadership, history } = this.#deps;
    const { version } = this.#options;
    const address = this.#options.address();
    if (!leadership.inTerm) {
      const role = ReplicaRole.REPLICA_ROLE_STANDBY;
      return { replica: lease.id, address, role, lagMs: 0, hasState: false, version, revision: '' };
    }
    const role = leadership.settled ? ReplicaRole.REPLICA_ROLE_LEADER : ReplicaRole.REPLICA_ROLE_TAKING_OVER;
    return { replica: lease.id, address, role, lagMs: 0, hasState: true, version, revision: history.revision };
  }
}

/** The leader, of which no more is known than its lease says. */
function leading({ replica, address }: LeaderStatus): ReplicaStatus {
  const role = ReplicaRole.REPLICA_ROLE_LEADER;
  return { replica, address, role, lagMs: 0, hasState: true, version: '', revision: '' };
}
