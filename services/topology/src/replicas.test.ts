import { ReplicaRole, type ReplicaStatus } from '@spanmesh/proto/v1/topology';
import type { Living } from '@spanmesh/runtime/gateways/signs-of-life';
import { describe, expect, it } from 'vitest';
import type { LeaseView } from './attach/leadership.ts';
import { Replicas, type ReplicasDeps } from './replicas.ts';

const { REPLICA_ROLE_LEADER: LEADER, REPLICA_ROLE_STANDBY: STANDBY, REPLICA_ROLE_FROZEN: FROZEN } = ReplicaRole;

function status(address: string, fields: Partial<ReplicaStatus> = {}): ReplicaStatus {
  const rest = { role: STANDBY, lagMs: 10, hasState: true, version: '1', revision: 'r.1.1' };
  return { replica: `id of ${address}`, address, ...rest, ...fields };
}

/** The replica at me:1. It leads unless `leader` names another one. */
function replicas({
  leader = 'me:1' as string | null,
  standbys = [] as ReplicaStatus[],
  told = [] as ReplicaStatus[],
  living = [] as string[],
  isLive = true,
  role = LEADER as ReplicaRole | null,
  lagMs = 0,
} = {}) {
  return new Replicas(
    { address: () => 'me:1', version: '2' },
    {
      lease: {
        id: 'id of me:1',
        holderId: `id of ${leader}`,
        holder: () => (leader === null ? null : { address: leader, epoch: 2 ** 40 }),
        ageMs: 20.4,
      } as unknown as LeaseView,
      view: () =>
        (role === null ? null : { role, lagMs, history: { revision: 'r.1.2' } }) as ReturnType<ReplicasDeps['view']>,
      presence: { living: (kind) => living.map((name): Living => ({ kind, id: name, name })) },
      publisher: { standbys: () => standbys } as unknown as ReplicasDeps['publisher'],
      follower: { leader, isLive, replicas: told, view: { lagMs: 100 } } as unknown as ReplicasDeps['follower'],
    },
  );
}

const shown = (known: readonly ReplicaStatus[]) => known.map(({ address, role, lagMs }) => [address, role, lagMs]);

describe('the addresses of the replicas', () => {
  it('are those of this replica, its followers, and the replicas with signs of life: each once, sorted', () => {
    const standbys = [status('b:1'), status('me:1')];
    expect(replicas({ standbys, living: ['b:1', 'a:1'] }).addresses()).toEqual(['a:1', 'b:1', 'me:1']);
  });

  // Limits: topology/src/replicas.ts MAX_ADDRESSES
  it('are sixteen at most, including its own', () => {
    const living = (count: number) => Array.from({ length: count }, (_, i) => `r${i}:1`);
    expect(replicas({ living: living(15) }).addresses()).toHaveLength(16);
    const told = replicas({ living: living(16) }).addresses();
    expect([told.length, told.includes('me:1'), told.includes('r15:1')]).toEqual([16, true, false]);
  });
});

describe('the list of replicas', () => {
  it('at the leader: itself and its followers, the leader first', () => {
    const known = replicas({ standbys: [status('b:1'), status('a:1')] }).known();
    expect(known).toMatchObject({ replica: 'id of me:1', leader: { replica: 'id of me:1', address: 'me:1' } });
    expect(shown(known.replicas)).toEqual([
      ['me:1', LEADER, 0],
      ['a:1', STANDBY, 10],
      ['b:1', STANDBY, 10],
    ]);
    expect(known.replicas[0]).toMatchObject({ version: '2', hasState: true, revision: 'r.1.2' });
  });

  it('at a standby: the list that the leader sent, aged by the time since, and itself', () => {
    const told = [status('lead:1', { role: LEADER, lagMs: 0 }), status('b:1'), status('me:1', { lagMs: 999 })];
    expect(shown(replicas({ leader: 'lead:1', told, role: STANDBY, lagMs: 30 }).known().replicas)).toEqual([
      ['lead:1', LEADER, 0],
      ['b:1', STANDBY, 110],
      ['me:1', STANDBY, 30],
    ]);
  });

  it('at a standby that does not hear the leader: those two', () => {
    const told = [status('b:1')];
    const known = replicas({ leader: 'lead:1', told, isLive: false, role: null }).known();
    expect(shown(known.replicas)).toEqual([
      ['lead:1', LEADER, 0],
      ['me:1', STANDBY, 0],
    ]);
    expect(known.replicas[1]).toMatchObject({ hasState: false, revision: '' });
    expect(known.leader).toEqual({
      replica: 'id of lead:1',
      address: 'lead:1',
      epoch: 2 ** 32 - 1,
      fullEpoch: 2 ** 40,
      leaseAgeMs: 21,
    });
  });

  it('where nobody leads: only this replica, frozen or not', () => {
    for (const leader of [null, '']) {
      const known = replicas({ leader, role: FROZEN }).known();
      expect([known.leader, shown(known.replicas)]).toEqual([undefined, [['me:1', FROZEN, 0]]]);
    }
  });
});
