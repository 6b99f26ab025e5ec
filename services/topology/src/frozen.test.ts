import { ReplicaRole } from '@spanmesh/proto/v1/topology';
import { describe, expect, it } from 'vitest';
import { FakeGateway } from './testing/fake-gateway.fixture.ts';
import { FakeLeader } from './testing/fake-leader.fixture.ts';
import { settle } from './testing/world.fixture.ts';

function frozen() {
  const leader = new FakeLeader();
  const gateway = new FakeGateway('a');
  leader.presence.put('a', gateway.boot);
  settle(leader, [gateway]);
  return { leader, gateway };
}

describe('a leader whose lease is not valid any more', () => {
  it('reports that it is frozen, and for how long, instead of claiming to lead', () => {
    const { leader, gateway } = frozen();
    const { core, clock } = leader;
    expect(core.view()).toMatchObject({ role: ReplicaRole.REPLICA_ROLE_LEADER, lagMs: 0 });
    gateway.disconnect();
    leader.freeze();
    clock.advance(3_600_000);
    expect(core.view()).toMatchObject({ role: ReplicaRole.REPLICA_ROLE_FROZEN, lagMs: 3_600_000 });
    expect(core.leadership.mayCommand()).toBe(false);
    leader.lead();
    expect(core.view()).toMatchObject({ role: ReplicaRole.REPLICA_ROLE_LEADER, lagMs: 0 });
  });

  it('knows it even before its timers fire: no two replicas claim to lead at once', () => {
    const { leader } = frozen();
    const { core, clock, lease } = leader;
    // The process was paused: no event of the lease has come yet, and another replica leads meanwhile.
    lease.valid = false;
    lease.frozenSince = clock.now();
    clock.advance(10_000);
    expect(core.view()).toMatchObject({ role: ReplicaRole.REPLICA_ROLE_FROZEN, lagMs: 10_000 });
  });
});
