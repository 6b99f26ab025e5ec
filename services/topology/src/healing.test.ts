import { ProcessKind } from '@spanmesh/proto/v1/topology';
import { describe, expect, it } from 'vitest';
import { showStatus } from './show/show-status.ts';
import { FakeGateway, pairName } from './testing/fake-gateway.fixture.ts';
import { FakeLeader } from './testing/fake-leader.fixture.ts';
import { settle, treeRelays } from './testing/world.fixture.ts';
import type { RecordedChange } from './trees/tree-events.ts';

/** Two gateways that know each other: `a` has a link, which is relayed at `b`. */
function two({ leader = new FakeLeader() } = {}) {
  const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
  for (const { name, boot } of [a, b]) leader.presence.put(name, boot);
  const link = a.openLink(a.openConnection(), 1);
  const lnkConn = b.openLnkConn(b.openConnection());
  settle(leader, [a, b]);
  const pair = () => pairName(a.id, link, lnkConn);
  expect([...b.relays.keys()]).toEqual([pair()]);
  const next = () => new FakeLeader({ epoch: leader.lease.epoch + 1, presence: leader.presence, clock: leader.clock });
  const pass = (at: FakeLeader, gateways: FakeGateway[], ms: number) => {
    for (let passed = 0; passed < ms; passed += 500) {
      at.clock.advance(500);
      settle(at, gateways);
    }
  };
  return { leader, a, b, link, lnkConn, pair, next, pass };
}

/** The changes recorded since a sequence number, as texts. */
function recorded(leader: FakeLeader, since: number): string[] {
  const texts: string[] = [];
  for (let at = since; at < leader.core.history.end; at++) {
    for (const change of leader.core.history.batch(at)?.changes ?? []) texts.push(textOf(change));
  }
  return texts;
}

function textOf(change: RecordedChange): string {
  if (change.of !== 'relays') return `${change.kind} ${change.of}`;
  const { open, close } = change.group;
  return `relays +${open.join()} -${close.join()}`;
}

describe('a gateway that attaches again', () => {
  it('is no change for watches if its objects are the same', () => {
    const { leader, a, b } = two();
    const { end, revision } = leader.core.history;
    const objects = [...leader.core.state.gateways.values()].flatMap(({ links, lnkConns }) => [
      ...links.values(),
      ...lnkConns.values(),
    ]);
    for (const gateway of [a, b]) gateway.disconnect();
    settle(leader, [a, b]);
    expect([recorded(leader, end), leader.core.history.revision]).toEqual([[], revision]);
    const now = [...leader.core.state.gateways.values()].flatMap(({ links, lnkConns }) => [
      ...links.values(),
      ...lnkConns.values(),
    ]);
    expect(now.every((object, at) => object === objects[at])).toBe(true);
  });

  it('shows which of its relays have changed meanwhile, and nothing else', () => {
    const { leader, a, b, lnkConn, pair } = two();
    const other = b.openLnkConn(b.openConnection());
    settle(leader, [a, b]);
    const { end } = leader.core.history;
    b.refuse(pair());
    b.disconnect();
    settle(leader, [a, b]);
    expect(recorded(leader, end)).toEqual([`relays + -${lnkConn}`]);
    expect([...b.relays.keys()]).toEqual([pairName(a.id, [...a.links.keys()][0] ?? 0, other)]);
  });

  it('keeps its relays, in the tree, too, while no leader can command it', () => {
    const { leader, a, b, pair } = two();
    b.disconnect();
    const better = a.openLink(a.openConnection(), 1, 0);
    a.openLink(a.openConnection(), 2);
    settle(leader, [a]);
    expect([...treeRelays(leader, b)]).toEqual([pair()]);
    const { end } = leader.core.history;
    settle(leader, [a, b]);
    expect(b.relays.size).toBe(2);
    expect(recorded(leader, end).every((text) => text.startsWith('relays'))).toBe(true);
    expect(better).toBeGreaterThan(0);
  });
});

describe('commands in flight', () => {
  it('are not noted for a gateway without a stream, however often the selection for it changes', () => {
    const { leader, a, b, pair } = two();
    b.refuse(pair());
    settle(leader, [a, b]);
    b.disconnect();
    const source = a.openConnection();
    for (let flap = 0; flap < 500; flap++) {
      const near = a.openLink(source, 1, 0);
      settle(leader, [a]);
      a.closeLink(near);
      settle(leader, [a]);
    }
    const known = leader.core.state.gateways.get(b.id);
    expect(known?.inFlight.pairs).toBe(0);
    settle(leader, [a, b]);
    expect([known?.inFlight.pairs, known?.knows?.size, b.remote.size]).toEqual([0, 1, 1]);
  });
});

describe('a link of another gateway that a gateway knows', () => {
  it('is reported gone once, also when a return path has made it known, and is forgotten with the stream', () => {
    const { leader, a, b, link } = two();
    // This link is too far to be selected.
    const far = a.openLink(a.openConnection(), 2, 17);
    settle(leader, [a, b]);
    b.openOnDemand(pairName(a.id, far, [...b.lnkConns.keys()][0] ?? 0));
    settle(leader, [a, b]);
    const known = () => leader.core.state.gateways.get(b.id)?.knows;
    expect([...(known()?.links() ?? [])].map(({ id }) => id)).toEqual([link, far]);
    a.closeLink(far);
    a.closeLink(link);
    settle(leader, [a, b]);
    expect([known()?.size, b.remote.size]).toEqual([0, 0]);
    b.disconnect();
    expect(known()).toBeUndefined();
  });

  it('waits for its own gateway, and is gone at once if that gateway has reported a later link', () => {
    const { leader, a, b } = two();
    const lnkConn = [...b.lnkConns.keys()][0] ?? 0;
    // The message over the return path came before topology has heard of the link.
    const young = a.openLink(a.openConnection(), 3, 17);
    b.openOnDemand(pairName(a.id, young, lnkConn));
    b.openOnDemand(pairName(a.id, 1, lnkConn));
    b.flush();
    while (b.deliverUp());
    leader.core.flush();
    const knows = leader.core.state.gateways.get(b.id)?.knows;
    expect(knows?.waiting(a.id, young)).toBeDefined();
    while (b.deliverDown());
    // 1 is the number of a connection, so no link has it or will have it.
    expect([...b.onDemand]).toEqual([pairName(a.id, young, lnkConn)]);
    settle(leader, [a, b]);
    expect([knows?.waitingCount, knows?.size]).toEqual([0, 2]);
  });

  it('leaves nothing of a refusal on a LNK_CONN that is gone', () => {
    const { leader, a, b, next } = two();
    b.disconnect();
    a.disconnect();
    const at = next();
    // The link's gateway has not attached: the relay waits.
    settle(at, [b]);
    const [pair] = b.relays.keys();
    const lnkConn = [...b.lnkConns.keys()][0] ?? 0;
    b.refuse(pair ?? '');
    b.closeLnkConn(lnkConn);
    settle(at, [b]);
    settle(at, [a, b]);
    expect(at.core.state.trees.tree.counts).toMatchObject({ relays: 0, refused: 0 });
    expect(at.core.state.gateways.get(b.id)?.refused.size).toBe(0);
    expect(leader.core.nonsense + at.core.nonsense).toBe(0);
  });

  it('shows a return path as open that was closed and opened in one message', () => {
    const { leader, a, b, link } = two();
    const lnkConn = b.openLnkConn(b.openConnection('linkid'));
    const far = a.openLink(a.openConnection('linkid'), 2, 17);
    settle(leader, [a, b]);
    const pair = pairName(a.id, far, lnkConn);
    b.openOnDemand(pair);
    settle(leader, [a, b]);
    b.closeOnDemand(pair);
    b.openOnDemand(pair);
    settle(leader, [a, b]);
    const shown = leader.core.state.gateways.get(a.id)?.links.get(far)?.data as { onDemand: Set<{ id: number }> };
    expect([...shown.onDemand].map(({ id }) => id)).toEqual([lnkConn]);
    expect(link).toBeGreaterThan(0);
  });
});

describe('a new leader', () => {
  it('commands nothing to a gateway that names another one of which the leader has not heard', () => {
    const { a, b, next, pass } = two();
    for (const gateway of [a, b]) gateway.disconnect();
    // Only its Hello names the other gateway.
    const at = next();
    at.presence.records.clear();
    at.presence.alive.clear();
    const leader = new FakeLeader({ epoch: 3, presence: at.presence, clock: at.clock });
    const local = b.openLink(b.openConnection(), 5);
    settle(leader, [b]);
    pass(leader, [b], 4500);
    expect([b.opens, b.closes]).toEqual([1, 0]);
    settle(leader, [a, b]);
    expect([b.closes, b.relays.size]).toEqual([0, 2]);
    expect([...b.relays.keys()].some((pair) => pair.startsWith(`${b.id}:${local}>`))).toBe(true);
  });

  it('commands nothing to such a gateway in the middle of its term either', () => {
    const { a, b, next, pass } = two();
    for (const gateway of [a, b]) gateway.disconnect();
    const at = next();
    at.presence.records.clear();
    at.presence.alive.clear();
    const leader = new FakeLeader({ epoch: 3, presence: at.presence, clock: at.clock });
    const early = new FakeGateway('early');
    settle(leader, [early]);
    pass(leader, [early], 6000);
    const local = b.openLink(b.openConnection(), 5);
    settle(leader, [early, b]);
    pass(leader, [early, b], 4500);
    expect([b.opens, b.closes]).toEqual([1, 0]);
    settle(leader, [early, a, b]);
    expect([b.closes, b.relays.size]).toEqual([0, 2]);
    expect([...b.relays.keys()].some((pair) => pair.startsWith(`${b.id}:${local}>`))).toBe(true);
  });

  it('commands such a gateway after 5 s, when the other one is dead', () => {
    const { a, b, next, pass } = two();
    for (const gateway of [a, b]) gateway.disconnect();
    const leader = next();
    leader.presence.silence('a');
    b.openLink(b.openConnection(), 5);
    pass(leader, [b], 6000);
    expect([b.gone, b.relays.size, b.opens]).toEqual([[a.id], 1, 2]);
  });

  it('does not declare a gateway dead that only the bus cannot reach', () => {
    const { a, b, pair, next, pass } = two();
    for (const gateway of [a, b]) gateway.disconnect();
    b.trunk(a.id, true);
    const leader = next();
    leader.presence.silence('a');
    leader.presence.remove('a', a.boot);
    settle(leader, [b]);
    pass(leader, [b], 20_000);
    expect([[...b.relays.keys()], b.closes, b.gone]).toEqual([[pair()], 0, []]);
    settle(leader, [a, b]);
    expect([[...b.relays.keys()], b.closes]).toEqual([[pair()], 0]);
  });

  it('does not wait for a gateway that an earlier leader has declared dead', () => {
    const { leader, a, b, next, pass } = two();
    a.disconnect();
    leader.presence.silence('a');
    pass(leader, [b], 6000);
    expect(b.gone).toEqual([a.id]);
    b.disconnect();
    const second = next();
    b.openLink(b.openConnection(), 5);
    settle(second, [b]);
    expect(second.core.leadership.settled).toBe(true);
    expect(b.relays.size).toBe(1);
  });

  it('deletes the entry of a dead gateway again that was written again', () => {
    const { leader, a, b, pass } = two();
    a.disconnect();
    leader.presence.silence('a');
    pass(leader, [b], 6000);
    // The gateway wakes up, and does not know yet that it was declared dead.
    leader.presence.put('a', a.boot);
    expect(leader.presence.get('a')).toBeNull();
    settle(leader, [b]);
    expect(b.peers).toEqual([]);
  });

  it('does not wait for a boot that another one has replaced', () => {
    const { leader, a, b, next } = two();
    const old = a.id;
    a.disconnect();
    b.disconnect();
    leader.presence.silence('a');
    const young = new FakeGateway('a', '00000002');
    const at = next();
    at.presence.put('a', young.boot);
    settle(at, [young]);
    // Gateway b still knows the former boot, and names it.
    settle(at, [young, b]);
    expect([b.gone, b.peers, at.core.graves.has(old), b.relays.size]).toEqual([[old], [young.id], true, 0]);
  });

  it('does not conclude from an empty roster that all gateways are here', () => {
    const leader = new FakeLeader();
    expect(leader.core.leadership.settled).toBe(false);
    leader.clock.advance(4999);
    expect(leader.core.leadership.settled).toBe(false);
    leader.clock.advance(1);
    expect(leader.core.leadership.settled).toBe(true);
  });

  it('waits until the registry has been read', () => {
    const leader = new FakeLeader();
    leader.presence.isComplete = false;
    settle(leader, [new FakeGateway('a')]);
    expect(leader.core.leadership.settled).toBe(false);
    leader.presence.isComplete = true;
    leader.core.term.presenceChanged();
    expect(leader.core.leadership.settled).toBe(true);
  });
});

describe('the report that a gateway cannot be reached', () => {
  it('ends when its reporter says so, even if a leader has not listed the other gateway meanwhile', () => {
    const { a, b, pair, next, pass } = two();
    b.reach(a.id, false);
    for (const gateway of [a, b]) gateway.disconnect();
    // `a` is cut off completely: the next leader only hears of it from `b`.
    const leader = next();
    leader.presence.silence('a');
    leader.presence.remove('a', a.boot);
    pass(leader, [b], 10_000);
    expect([b.relays.size, b.gone]).toEqual([0, [a.id]]);
    expect([...b.unreachable]).toEqual([]);
    settle(leader, [a, b]);
    expect([...b.relays.keys()]).toEqual([pair()]);
  });

  it('is forgotten with the gateway that has made it', () => {
    const { leader, a, b, pair, pass } = two();
    b.reach(a.id, false);
    settle(leader, [a, b]);
    expect(b.relays.size).toBe(0);
    // Gateway b is cut off, reaches gateway a again meanwhile, is declared dead, and attaches again.
    b.disconnect();
    leader.presence.silence('b');
    pass(leader, [a], 7000);
    expect(leader.core.graves.has(b.id)).toBe(true);
    b.reach(a.id, true);
    leader.presence.put('b', b.boot);
    settle(leader, [a, b]);
    expect([...b.relays.keys()]).toEqual([pair()]);
    const later = a.openLink(a.openConnection(), 2);
    settle(leader, [a, b]);
    expect([...b.relays.keys()].some((one) => one.startsWith(`${a.id}:${later}>`))).toBe(true);
  });
});

describe('status', () => {
  it('shows a process that is missing until it is back', () => {
    const { leader, a, b, pass } = two();
    const missing = () =>
      leader.core
        .processes()
        .missing.map(({ kind, name, id, missingMs, dead }) => ({ kind, name, id, missingMs, dead }));
    expect(missing()).toEqual([]);
    a.disconnect();
    leader.presence.silence('a');
    pass(leader, [b], 1000);
    const gone = { kind: ProcessKind.PROCESS_KIND_LINK_GATEWAY, name: 'a', id: a.id };
    expect(missing()).toEqual([{ ...gone, missingMs: 1000, dead: false }]);
    pass(leader, [b], 9000);
    expect(missing()).toEqual([{ ...gone, missingMs: 10_000, dead: true }]);
    settle(leader, [a, b]);
    expect(missing()).toEqual([]);
  });

  it('shows for how long an attached gateway is cut off from NATS, and nothing while no process is heard', () => {
    const { leader, a, b, pass } = two();
    const { presence } = leader;
    const unheard = () =>
      showStatus(leader.core.processes(), leader.core.state.trees, '').gateways.map(({ name, attached, unheardMs }) => [
        name,
        attached,
        unheardMs,
      ]);
    const heard = [
      ['a', true, 0],
      ['b', true, 0],
    ];
    expect(unheard()).toEqual(heard);
    presence.silence('a');
    pass(leader, [a, b], 4000);
    expect(unheard()).toEqual(heard);
    pass(leader, [a, b], 3000);
    expect(unheard()).toEqual([['a', true, 7000], heard[1]]);
    presence.flowingSince = null;
    expect(unheard()).toEqual(heard);
    // NATS is back, and this replica has started meanwhile: it only knows that the gateway had joined.
    presence.flowingSince = leader.clock.now() - 6000;
    presence.signs.clear();
    expect(unheard()).toEqual([['a', true, 6000], heard[1]]);
    presence.records.delete('a');
    expect(unheard()).toEqual(heard);
    presence.put('a', a.boot);
    expect(unheard()).toEqual(heard);
  });

  it('shows replicas of topology and volconf that give no sign of life any more', () => {
    const { leader } = two();
    leader.presence.silent.push({ kind: 'topology', id: 'x', name: 'other:1', since: leader.clock.now() - 7000 });
    const kind = ProcessKind.PROCESS_KIND_TOPOLOGY;
    const expected = { kind, id: 'x', name: 'other:1', missingMs: 7000, dead: false };
    expect(leader.core.processes().missing).toEqual([expected]);
  });
});
