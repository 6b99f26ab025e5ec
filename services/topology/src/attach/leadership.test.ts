import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { Leadership, type LeaseView } from './leadership.ts';
import { Roster } from './roster.ts';

// Written once more: a change of them must be noticed.
const GATHER_MS = 5000;

const A = 'a.00000001';

function rig() {
  const clock = new FakeClock();
  const roster = new Roster({ clock });
  const presence = { isComplete: true };
  const lease = {
    epoch: 7,
    valid: true,
    frozenSince: null as number | null,
    address: 'lead:1' as string | null,
    raised: 0,
    stepped: 0,
    isValid: () => lease.valid,
    holder: () => (lease.address === null ? null : { address: lease.address, epoch: 7 }),
    raiseEpoch: async (epoch: number) => {
      lease.raised = epoch;
    },
    stepDown: (ms: number) => {
      lease.stepped = ms;
    },
  };
  const leadership = new Leadership({ lease: lease as unknown as LeaseView, presence, clock, roster });
  const leads = () => leadership.changed({ kind: 'leading', epoch: 7 });
  const freezes = () => {
    lease.valid = false;
    lease.frozenSince = clock.now();
    return leadership.changed({ kind: 'frozen', epoch: 7 });
  };
  const thaws = () => {
    lease.valid = true;
    lease.frozenSince = null;
    return leads();
  };
  const standsBy = () => leadership.changed({ kind: 'standby', holder: null });
  return { clock, roster, presence, lease, leadership, leads, freezes, thaws, standsBy };
}

describe('a standby', () => {
  it('is in no term, and names the leader', () => {
    const { leadership, lease, standsBy } = rig();
    expect(standsBy()).toBe(false);
    expect([leadership.inTerm, leadership.settled, leadership.leadingSince, leadership.frozenMs]).toEqual([
      false,
      false,
      undefined,
      0,
    ]);
    expect(leadership.notLeading()).toBe('This topology replica does not lead: ask the one at lead:1.');
    for (const nobody of [null, '']) {
      lease.address = nobody;
      expect(leadership.notLeading()).toBe('No topology replica leads at the moment: try again.');
    }
  });
});

describe('a replica that leads', () => {
  it('commands once every gateway that it has heard of has reported its objects', () => {
    const { leadership, roster, leads } = rig();
    expect(leads()).toBe(true);
    expect([leadership.inTerm, leadership.notLeading(), leadership.leaderAddress]).toEqual([true, null, '']);
    // An empty roster does not mean that all gateways are here.
    expect(leadership.mayCommand()).toBe(false);
    roster.heard(A);
    expect(leadership.mayCommand()).toBe(false);
    roster.told(A);
    expect([leadership.mayCommand(), leadership.settled]).toEqual([true, true]);
    // A gateway that is heard of later is awaited on its own.
    roster.heard('b.00000001');
    expect(leadership.mayCommand()).toBe(true);
  });

  it('waits for the registry, and for no gateway longer than five seconds', () => {
    const { leadership, roster, presence, leads, clock } = rig();
    presence.isComplete = false;
    clock.advance(100);
    leads();
    roster.heard(A);
    roster.told(A);
    clock.advance(GATHER_MS - 1);
    expect(leadership.mayCommand()).toBe(false);
    clock.advance(1);
    expect(leadership.mayCommand()).toBe(true);
  });

  it('does not command while its lease does not hold, and continues in the same term afterwards', () => {
    const { leadership, roster, leads, freezes, thaws, clock } = rig();
    leads();
    roster.heard(A);
    roster.told(A);
    expect(leadership.leadingSince).toBe(0);
    clock.advance(1000);
    expect(freezes()).toBe(false);
    expect([leadership.frozenMs, leadership.mayCommand(), leadership.inTerm, leadership.settled]).toEqual([
      1,
      false,
      true,
      true,
    ]);
    clock.advance(500);
    expect([leadership.frozenMs, leadership.leadingSince]).toEqual([500, undefined]);
    expect(thaws()).toBe(false);
    // Its uninterrupted leadership begins only now.
    expect([leadership.frozenMs, leadership.mayCommand(), leadership.leadingSince]).toEqual([0, true, 1500]);
  });

  it('waits for the gateways again in its next term', () => {
    const { leadership, roster, leads, standsBy, clock } = rig();
    leads();
    roster.heard(A);
    roster.told(A);
    expect(leadership.mayCommand()).toBe(true);
    standsBy();
    expect([leadership.inTerm, leadership.settled]).toEqual([false, false]);
    roster.clear();
    clock.advance(60_000);
    expect(leads()).toBe(true);
    expect([leadership.mayCommand(), leadership.settled]).toEqual([false, false]);
  });

  it('takes the epoch after one that a gateway has heard of, and can step down', async () => {
    const { leadership, lease } = rig();
    await leadership.raiseEpoch(41);
    leadership.stepDown(5000);
    expect([lease.raised, lease.stepped, leadership.epoch, leadership.valid]).toEqual([42, 5000, 7, true]);
  });
});
