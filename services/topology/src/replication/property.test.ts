import { EventEmitter } from 'node:events';
import type { Change, WatchResponse } from '@spanmesh/proto/v1/topology';
import { Dialect } from '@spanmesh/proto/v1/types';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Watch } from '../api/watch.ts';
import type { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { uuid } from '../testing/payloads.fixture.ts';
import { type Event, histories, RandomHistory, unitsPerTurn } from '../testing/random-history.fixture.ts';
import { answersOf, FakeStandby } from '../testing/standby.fixture.ts';
import type { View } from '../trees/view.ts';

/** Collects what a watch sends, by revision; within one revision the order is not defined. */
class Watcher extends EventEmitter {
  readonly cancelled = false;
  readonly seen = new Map<string, string[]>();
  hasEnded = false;

  constructor({ history }: View, clock: FakeLeader['clock']) {
    super();
    new Watch({ revision: '', withRelays: true }, { stream: this, history, clock, onEnd: () => {} });
  }

  write({ changes }: WatchResponse): boolean {
    if (changes === undefined) return true;
    const seen = this.seen.get(changes.revision) ?? [];
    for (const change of changes.changes) seen.push(textOf(change));
    this.seen.set(changes.revision, seen.sort());
    return true;
  }

  end(): void {
    this.hasEnded = true;
  }
}

function textOf(change: Change): string {
  const { relays } = change;
  const sorted = relays && { ...relays, lnkConns: relays.lnkConns.toSorted() };
  return JSON.stringify({ ...change, relays: sorted }, (_, one) => (typeof one === 'bigint' ? String(one) : one));
}

/** The additional events of this property, for the standby and for rarely used parts of the leader. */
const EXTRA = [
  'hold',
  'release',
  'onDemand',
  'status',
  'break',
  'deliver',
  'catchUp',
  'read',
  'twin',
  'gather',
  'standbyTurn',
] as const;
const extra = fc.record({
  extra: fc.constantFrom(...EXTRA),
  gateway: fc.nat(2),
  choice: fc.nat(1000),
});
const extras = fc.array(extra, { minLength: 60, maxLength: 120, size: 'max' });
type Extra = typeof extra extends fc.Arbitrary<infer T> ? T : never;

/** A random history with a standby that follows whichever replica leads, and a watch at each of them. */
class Replicated extends RandomHistory {
  readonly standby: FakeStandby;
  #leader: FakeLeader | undefined;
  #watchers: [Watcher, Watcher] | undefined;

  /** Units of work in one turn, of the leader and of the standby. */
  constructor({ leader, standby }: { readonly leader: number; readonly standby: number }) {
    super(true, leader);
    this.standby = new FakeStandby({ clock: this.leader.clock, unitsPerTurn: standby });
  }

  /** Lets the standby follow the replica that leads. */
  follow(): void {
    if (this.#leader === this.leader) return;
    this.#leader = this.leader;
    this.standby.follow(this.leader, `leader:${this.leader.lease.epoch}`);
  }

  happen({ extra: what, gateway: index, choice }: Extra): void {
    const gateway = this.gateways[index]!;
    const key = { dialect: Dialect.DIALECT_CIRCUIT, id: uuid(90 + (choice % 3)), peerType: 1, peerLabel: 'held' };
    const links = [...gateway.links.keys()];
    switch (what) {
      case 'hold':
        gateway.hold(key);
        return;
      case 'release':
        if (gateway.held.length > 0) gateway.release(gateway.held[choice % gateway.held.length]!);
        return;
      case 'onDemand': {
        const open = [...gateway.onDemand];
        const relays = [...gateway.relays.keys()];
        if (choice % 2 === 0 && open.length > 0) gateway.closeOnDemand(open[choice % open.length]!);
        else if (relays.length > 0) gateway.openOnDemand(relays[choice % relays.length]!);
        return;
      }
      case 'status':
        if (links.length > 0) gateway.status(links[choice % links.length]!, choice % 4);
        return;
      case 'break':
        this.standby.call.end();
        this.leader.clock.advance(100);
        return;
      case 'deliver':
        this.standby.call.deliver();
        return;
      case 'catchUp':
        this.standby.catchUp(this.leader);
        return;
      case 'twin': {
        // A second connection of the same peer makes the older one suspect.
        const lnkConn = gateway.openLnkConn(gateway.openConnection('circuit', '192.0.2.77:1'), 77);
        gateway.openLink(gateway.lnkConns.get(lnkConn)!.connection, 1 + (choice % 2));
        return;
      }
      case 'standbyTurn':
        this.standby.turns.shift()?.();
        return;
      case 'gather':
        this.leader.clock.advance(5000);
        return;
      case 'read':
        // A read in the middle of a turn gives the changes so far a revision of their own.
        this.leader.core.view()!.history.revision;
    }
  }

  /** Delivers everything, then checks that the standby answers as the leader does. */
  compare(): void {
    this.follow();
    this.standby.catchUp(this.leader);
    if (!this.standby.follower.isLive) return;
    expect(this.standby.follower.differences).toBe(0);
    const [theirs, ours] = [this.leader.core.view()!, this.standby.follower.view!];
    expect(answersOf(ours)).toEqual(answersOf(theirs));
    if (this.#watchers?.some(({ hasEnded }) => hasEnded) === false) {
      const [atLeader, atStandby] = this.#watchers;
      // After some breaks a watch must list again. If no watch had to, both must have sent the same.
      expect(atStandby.seen).toEqual(atLeader.seen);
    }
    this.#watchers = [new Watcher(theirs, this.leader.clock), new Watcher(ours, this.leader.clock)];
  }
}

describe('a standby', () => {
  it('answers as the leader does, and its watches send the same, whatever happens', () => {
    let compared = 0;
    fc.assert(
      fc.property(histories(200), extras, unitsPerTurn, unitsPerTurn, (events, others, leader, standby) => {
        const history = new Replicated({ leader, standby });
        history.compare();
        const all: (Event | Extra)[] = [...events];
        for (const [i, one] of others.entries()) all.splice((i * 7919) % all.length, 0, one);
        for (const [i, one] of all.entries()) {
          if ('extra' in one) history.happen(one);
          else history.run(one);
          history.follow();
          if (i % 20 === 0) history.compare();
        }
        history.heal();
        history.leader.clock.advance(5000);
        history.compare();
        expect(history.standby.follower.isLive).toBe(true);
        compared += history.standby.follower.snapshots;
      }),
      { numRuns: 60 },
    );
    expect(compared).toBeGreaterThan(60);
  });
});
