import { EventEmitter } from 'node:events';
import { ReplicaRole, type WatchResponse } from '@spanmesh/proto/v1/topology';
import { MOST_WAITING } from '@spanmesh/runtime/grpc/intake';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import { describe, expect, it } from 'vitest';
import { Watch } from './api/watch.ts';
import { FakeGateway } from './testing/fake-gateway.fixture.ts';
import { FakeLeader } from './testing/fake-leader.fixture.ts';
import { answersOf, FakeStandby } from './testing/standby.fixture.ts';
import { naiveSelection, settle, treeRelays } from './testing/world.fixture.ts';
import type { View } from './trees/view.ts';

// Written once more: a change of them must be noticed.
const OBJECT_UNITS = 8;

const UNITS = 64;
const PEERS = 6;
const LINKS_EACH = 60;

/** Two gateways with PEERS peers each; every peer has a LNK_CONN and offers spans. Neither gateway is attached yet. */
function world(unitsPerTurn = UNITS, linksEach = LINKS_EACH) {
  const leader = new FakeLeader({ unitsPerTurn });
  const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
  let node = 0;
  for (const gateway of [a, b]) {
    leader.presence.put(gateway.name, gateway.boot);
    for (let peer = 0; peer < PEERS; peer++) {
      const connection = gateway.openConnection();
      gateway.openLnkConn(connection);
      for (let link = 0; link < linksEach; link++) gateway.openLink(connection, ++node);
    }
  }
  return { leader, a, b, gateways: [a, b] };
}

type World = ReturnType<typeof world>;

/** Delivers all messages to the leader, which need not process them yet. */
function deliver({ gateways }: World): void {
  for (const gateway of gateways) {
    gateway.flush();
    while (gateway.deliverUp());
  }
}

/** How much a turn adds to the counts by which turns are limited. */
function counted({ leader }: World): (turn: () => void) => { evaluations: number; links: number; relays: number } {
  const { tree } = leader.core.state.trees;
  return (turn) => {
    const before = { evaluations: tree.evaluations, ...tree.counts };
    turn();
    const { counts } = tree;
    return {
      evaluations: tree.evaluations - before.evaluations,
      links: Math.abs(counts.links - before.links),
      relays: Math.abs(counts.relays - before.relays),
    };
  };
}

/** Changes that are made one after the other, each after the previous one is settled. */
const CHANGES: readonly (readonly [string, (world: World) => void])[] = [
  [
    'the first snapshot of a gateway, and the first selection',
    ({ a, leader }) => {
      a.connect(leader);
      while (a.deliverUp() || a.deliverDown());
    },
  ],
  [
    'that of a second one',
    ({ b, leader }) => {
      b.connect(leader);
      while (b.deliverUp() || b.deliverDown());
    },
  ],
  ['a LNK_CONN that comes', ({ a }) => a.openLnkConn(a.openConnection())],
  ['a LNK_CONN that goes', ({ a }) => a.closeLnkConn([...a.lnkConns.keys()][0]!)],
  ['a connection that goes, with all that is on it', ({ b }) => b.closeConnection([...b.connections.keys()][0]!)],
  [
    'all links that go',
    ({ b }) => {
      for (const id of [...b.links.keys()].slice(0, 2 * LINKS_EACH)) b.closeLink(id);
    },
  ],
  ['a gateway that another one cannot reach', ({ a, b }) => a.reach(b.id, false)],
  ['and can reach again', ({ a, b }) => a.reach(b.id, true)],
  [
    'a stream that breaks and comes back, with all relays',
    ({ a, leader }) => {
      a.connect(leader);
      while (a.deliverUp() || a.deliverDown());
    },
  ],
  [
    'a gateway that is dead',
    ({ leader, b }) => {
      b.disconnect();
      leader.core.work.run(leader.core.reaper.declaringDead(b.id));
    },
  ],
  ['the end of a term', ({ leader }) => leader.lose()],
];

describe('a long job', () => {
  it('is done in turns of a limited number of units, whatever the job', () => {
    const one = world();
    const count = counted(one);
    const { leader, a, gateways } = one;
    // A slice can only end after a node with all its LNK_CONNs, or a link with all its relays.
    const most = 2 * UNITS + 2 * (2 * PEERS + 1) + OBJECT_UNITS;
    const interrupted: string[] = [];
    for (const [name, change] of CHANGES) {
      const look = (turn: () => void): void => {
        const done = count(turn);
        expect(done.evaluations, name).toBeLessThanOrEqual(most);
        expect(done.links * OBJECT_UNITS, name).toBeLessThanOrEqual(most);
        expect(done.relays, name).toBeLessThanOrEqual(4 * most);
      };
      look(() => {
        change(one);
        deliver(one);
        leader.core.flush();
      });
      if (leader.turns.length > 0) interrupted.push(name);
      while (leader.turns.length > 0) {
        look(() => leader.turn());
        if (leader.turns.length === 0) look(() => leader.core.flush());
      }
      while (a.stream !== undefined && a.deliverDown());
      if (leader.lease.valid) settle(leader, leader.core.state.gateways.size > 1 ? gateways : [a]);
    }
    expect(interrupted).toEqual(CHANGES.map(([name]) => name));
    expect(leader.core.work.most).toBeLessThanOrEqual(most);
  });

  it('has the same result as without pauses', () => {
    const [one, other] = [world(1, 8), world(Number.POSITIVE_INFINITY, 8)];
    for (const each of [one, other]) {
      const { leader, a, b, gateways } = each;
      settle(leader, gateways);
      b.closeConnection([...b.connections.keys()][0]!);
      a.openLnkConn(a.openConnection());
      settle(leader, gateways);
      const wanted = naiveSelection(gateways);
      for (const gateway of gateways) expect(treeRelays(leader, gateway)).toEqual(wanted.get(gateway.id));
    }
  });
});

/** Two attached gateways, settled; then a LNK_CONN has opened, whose selection has just begun. */
function selecting(linksEach = LINKS_EACH) {
  const one = world(UNITS, linksEach);
  const { leader, a, gateways } = one;
  settle(leader, gateways);
  const lnkConn = a.openLnkConn(a.openConnection());
  deliver(one);
  leader.core.flush();
  expect(leader.core.work.isBusy).toBe(true);
  const told = () => a.stream!.sent.slice(a.read).flatMap(({ commands }) => commands?.relays ?? []).length;
  return { ...one, lnkConn, told };
}

describe('while a selection is under way', () => {
  it('messages wait, and the stream is not read while many wait', () => {
    const { leader, b, gateways } = selecting();
    const before = leader.core.state.trees.tree.counts.links;
    const connection = [...b.connections.keys()][0]!;
    for (let i = 0; i < 2 * MOST_WAITING; i++) {
      b.openLink(connection, 1000 + i);
      b.flush();
      b.deliverUp();
    }
    expect(leader.core.state.trees.tree.counts.links).toBe(before);
    expect([b.stream!.paused, b.up.length]).toEqual([true, MOST_WAITING]);
    leader.finish();
    expect(b.stream!.paused).toBe(false);
    expect(leader.core.state.trees.tree.counts.links).toBe(before + MOST_WAITING);
    settle(leader, gateways);
    expect(leader.core.state.trees.tree.counts.links).toBe(before + 2 * MOST_WAITING);
  });

  it('commands are sent as they are decided, and none without a valid lease', () => {
    const { leader, told, gateways, a, lnkConn } = selecting();
    leader.turn();
    const some = told();
    expect(some).toBeGreaterThan(0);
    leader.freeze();
    leader.finish();
    expect(told()).toBe(some);
    leader.lead();
    settle(leader, gateways);
    expect([...a.relays.keys()].filter((pair) => pair.endsWith(`>${lnkConn}`))).toHaveLength(2 * PEERS * LINKS_EACH);
  });

  it('a gateway that is lost remains as it is until the selection ends', () => {
    const { leader, a, gateways } = selecting();
    a.disconnect();
    expect(leader.core.state.gateways.get(a.id)!.attached).toBe(true);
    leader.finish();
    expect(leader.core.state.gateways.get(a.id)!.attached).toBe(false);
    settle(leader, gateways);
    expect(treeRelays(leader, a)).toEqual(new Set(a.relays.keys()));
  });

  it('the term may end: nothing is left, and the next term begins empty', () => {
    const { leader, a, gateways } = selecting(16);
    a.closeConnection([...a.connections.keys()][0]!);
    leader.lose();
    leader.turn();
    leader.lease.epoch += 2;
    leader.lead();
    expect(leader.core.view()!.role).toBe(ReplicaRole.REPLICA_ROLE_TAKING_OVER);
    settle(leader, gateways);
    const wanted = naiveSelection(gateways);
    for (const gateway of gateways) expect(treeRelays(leader, gateway)).toEqual(wanted.get(gateway.id));
  });

  it('a read has the revision of the state before; a call that waits for an answer gets one of the state after', async () => {
    const { leader, gateways } = selecting();
    const { core } = leader;
    const { history } = core.view()!;
    const before = history.revision;
    leader.turn();
    expect(history.revision).toBe(before);
    const answer = core.api.slices.run(
      (function* (): Job<number> {
        yield 1;
        return core.state.trees.tree.counts.relays;
      })(),
    );
    let isAnswered = false;
    void answer.then(() => {
      isAnswered = true;
    });
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(isAnswered).toBe(false);
    settle(leader, gateways);
    expect(history.revision).not.toBe(before);
    expect(await answer).toBe(core.state.trees.tree.counts.relays);
  });
});

/** Collects what a watch sends, by revision. */
class Watcher extends EventEmitter {
  readonly cancelled = false;
  readonly seen: string[] = [];

  constructor({ history }: View, { clock }: FakeLeader) {
    super();
    new Watch({ revision: '', withRelays: true }, { stream: this, history, clock, onEnd: () => {} }).begin();
  }

  write({ changes }: WatchResponse): boolean {
    for (const { relays } of changes?.changes ?? []) this.seen.push(`${changes!.revision} ${relays?.lnkConns.length}`);
    return true;
  }

  end(): void {}
}

describe('a standby', () => {
  it.each([1, Number.POSITIVE_INFINITY])(
    'has the same revisions, whenever it is read, in turns of %d units',
    async (units) => {
      const { leader, a, b, gateways } = world(16, 10);
      settle(leader, gateways);
      const standby = new FakeStandby({ clock: leader.clock, unitsPerTurn: units });
      standby.follow(leader);
      while (!standby.follower.isLive) {
        await new Promise((resolve) => setImmediate(resolve));
        standby.catchUp(leader);
      }
      const watchers = [leader.core.view()!, standby.follower.view!].map((view) => new Watcher(view, leader));
      a.openLnkConn(a.openConnection());
      deliver({ leader, a, b, gateways });
      leader.core.flush();
      for (let turn = 0; leader.turns.length > 0; turn++) {
        leader.turn();
        leader.core.view()!.history.revision;
        // A heartbeat in the middle of the change.
        leader.clock.advance(250);
        while (standby.call.deliver());
        standby.turns.shift()?.();
        standby.follower.view!.history.revision;
        if (turn === 3) a.closeLink([...a.links.keys()][0]!);
      }
      settle(leader, gateways);
      standby.catchUp(leader);
      leader.clock.advance(250);
      while (standby.call.deliver());
      standby.finish();
      expect(standby.follower.differences).toBe(0);
      expect(answersOf(standby.follower.view!)).toEqual(answersOf(leader.core.view()!));
      expect(watchers[0]!.seen.length).toBeGreaterThan(0);
      expect(watchers[1]!.seen).toEqual(watchers[0]!.seen);
    },
  );
});
