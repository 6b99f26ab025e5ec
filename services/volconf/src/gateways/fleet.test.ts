import { WatchMediaResponse } from '@spanmesh/proto/v1/dial';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import type { GatewayRecord } from '@spanmesh/runtime/gateways/registry';
import { describe, expect, it } from 'vitest';
import { GATHER_MS, TRUST_ABSENCE_MS } from '../limits.ts';
import { FakePort } from '../testing/fake-port.fixture.ts';
import { Fleet } from './fleet.ts';
import { OrderError } from './gateway-port.ts';

/** The gateways of a term; the test controls the registry by `entries`. */
function rig() {
  const clock = new FakeClock();
  const entries = new Map<string, GatewayRecord>();
  const ports = new Map<string, FakePort>();
  const told: string[] = [];
  const is: { leadingSince: number | null; recheck: () => void } = { leadingSince: 0, recheck: () => {} };
  const fleet = new Fleet(
    { epoch: 7 },
    {
      clock,
      random: () => 0,
      present: () => entries.values(),
      connect: ({ name, serviceAddress }) => {
        if (serviceAddress === '') return null;
        const port = new FakePort();
        ports.set(name, port);
        return port;
      },
      leadingSince: () => is.leadingSince,
      sink: { begin: () => {}, message: () => {}, live: () => {}, broken: () => {} },
      gone: ({ key }) => told.push(`${key} is gone`),
      renamed: ({ key, id }) => told.push(`${key} is ${id}`),
      recheck: () => is.recheck(),
    },
  );
  const enter = (name: string, fields: Partial<GatewayRecord> = {}): void => {
    const boot = fields.boot ?? '1';
    const record = { name, boot, firstBoot: boot, serviceAddress: 'there:1', version: '', draining: false, ...fields };
    entries.set(name, record);
  };
  /** Completes the snapshot of a gateway. */
  const tells = (name: string, boot = '1'): void => {
    const response = { snapshotEnd: true, gateway: `${name}.${boot}`, firstBoot: boot };
    ports.get(name)!.watches.at(-1)!.sink.message(WatchMediaResponse.create(response));
  };
  const breaks = (name: string): void => {
    ports.get(name)!.watches.at(-1)!.sink.ended(new OrderError('unknown', 'away'));
  };
  const live = (): string[] => [...fleet.live()].map(({ key }) => key);
  return { clock, entries, ports, told, is, fleet, enter, tells, breaks, live };
}

describe('the gateways of a term', () => {
  it('are those in the registry with an address; they are live once their snapshots are complete', () => {
    const { fleet, ports, enter, tells, live } = rig();
    enter('a');
    enter('b');
    enter('nowhere', { serviceAddress: '' });
    fleet.check();
    expect([fleet.size, [...ports.keys()], live(), fleet.allHeard]).toEqual([2, ['a', 'b'], [], false]);
    tells('a');
    expect([live(), fleet.allHeard]).toEqual([['a.1'], false]);
    tells('b');
    expect([live(), fleet.allHeard]).toEqual([['a.1', 'b.1'], true]);
    fleet.check();
    expect([fleet.size, ports.get('a')!.watches.length]).toEqual([2, 1]);
    expect([fleet.port('a.1'), fleet.port('c.1'), fleet.idOf('a.1'), fleet.idOf('c.1')]).toEqual([
      ports.get('a'),
      null,
      'a.1',
      'c.1',
    ]);
  });

  it('are awaited until all snapshots are complete, or for five seconds', () => {
    const { fleet, clock, enter, tells } = rig();
    enter('a');
    fleet.check();
    clock.advance(GATHER_MS - 1);
    expect(fleet.gathered).toBe(false);
    clock.advance(1);
    expect([fleet.gathered, fleet.allHeard]).toEqual([true, false]);
    const other = rig();
    other.enter('a');
    other.fleet.check();
    other.tells('a');
    expect([other.fleet.gathered, tells.name]).toEqual([true, 'tells']);
  });

  it('receive no orders while they are going to stop', () => {
    const { fleet, enter, tells, live } = rig();
    enter('a');
    fleet.check();
    tells('a');
    enter('a', { draining: true });
    fleet.check();
    expect(live()).toEqual([]);
    enter('a');
    fleet.check();
    expect(live()).toEqual(['a.1']);
  });

  it('that continue under another id remain the same ones; the new id is reported once', () => {
    const { fleet, told, enter } = rig();
    enter('a');
    fleet.check();
    enter('a', { boot: '2', firstBoot: '1' });
    fleet.check();
    fleet.check();
    expect([told, fleet.size, fleet.idOf('a.1')]).toEqual([['a.1 is a.2'], 1, 'a.2']);
  });

  it('whose name another process has taken are gone at once, and the other process takes their place', () => {
    const { fleet, ports, told, enter, tells } = rig();
    enter('a');
    fleet.check();
    tells('a');
    const before = ports.get('a')!;
    enter('a', { boot: '2' });
    fleet.check();
    expect([told, before.isClosed, fleet.size]).toEqual([['a.1 is gone'], true, 1]);
    expect([fleet.port('a.1'), fleet.port('a.2')]).toEqual([null, ports.get('a')]);
  });

  it('without an entry remain while they are watched, and while the registry is not trusted', () => {
    const { fleet, clock, entries, is, told, enter, tells, breaks } = rig();
    enter('a');
    fleet.check();
    tells('a');
    entries.clear();
    clock.advance(60_000);
    fleet.check();
    expect(fleet.size).toBe(1);
    breaks('a');
    is.leadingSince = null;
    fleet.check();
    is.leadingSince = clock.now() - TRUST_ABSENCE_MS + 1;
    fleet.check();
    expect(told).toEqual([]);
    is.leadingSince = clock.now() - TRUST_ABSENCE_MS;
    fleet.check();
    expect([told, fleet.size]).toEqual([['a.1 is gone'], 0]);
  });

  it('with an entry remain, watched or not', () => {
    const { fleet, clock, told, enter, tells, breaks } = rig();
    enter('a');
    fleet.check();
    tells('a');
    clock.advance(60_000);
    breaks('a');
    fleet.check();
    expect([told, fleet.size]).toEqual([[], 1]);
  });

  it('are checked again twice a second while one of them is missing or has not been heard', () => {
    const { fleet, clock, is, enter, tells, breaks } = rig();
    let rechecks = 0;
    is.recheck = () => {
      rechecks++;
      fleet.check();
    };
    fleet.check();
    expect(clock.pending).toBe(0);
    enter('a');
    fleet.check();
    fleet.check();
    expect(clock.pending).toBe(1);
    clock.advance(499);
    expect(rechecks).toBe(0);
    clock.advance(1);
    clock.advance(500);
    expect(rechecks).toBe(2);
    tells('a');
    clock.advance(500);
    expect([rechecks, clock.pending]).toEqual([3, 0]);
    breaks('a');
    fleet.check();
    clock.advance(500);
    expect(rechecks).toBe(4);
  });

  it('are not checked any more once the term is over', () => {
    const { fleet, clock, ports, enter } = rig();
    enter('a');
    fleet.check();
    fleet.close();
    expect([fleet.size, ports.get('a')!.isClosed, clock.pending]).toEqual([0, true, 0]);
    fleet.check();
    expect(fleet.size).toBe(0);
  });
});
