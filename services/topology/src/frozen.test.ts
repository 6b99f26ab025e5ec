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
  it('says that it is frozen, and since when: it does not say that it leads', () => {
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

  it('knows it before its timers do: no two replicas say at once that they lead', () => {
    const { leader } = frozen();
    const { core, clock, lease } = leader;
    // It was paused: nobody has told it yet, and another one leads meanwhile.
    lease.valid = false;
    lease.frozenSince = clock.now();
    clock.advance(10_000);
    expect(core.view()).toMatchObject({ role: ReplicaRole.REPLICA_ROLE_FROZEN, lagMs: 10_000 });
  });
});
