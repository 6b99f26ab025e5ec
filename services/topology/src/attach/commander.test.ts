import { status } from '@grpc/grpc-js';
import { describe, expect, it, vi } from 'vitest';
import { FakeGateway, pairName } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { settle, treeRelays } from '../testing/world.fixture.ts';

// Written once more: a change of them must be noticed.
const RETRY_MS = 250;

/** A leader and a gateway with a LNK_CONN, and with links of node 1 on other connections. */
function relaying({ dists = [1] }: { dists?: number[] } = {}) {
  const leader = new FakeLeader();
  const a = new FakeGateway('a');
  leader.presence.put('a', a.boot);
  const lnkConn = a.openLnkConn(a.openConnection());
  const links = dists.map((dist) => a.openLink(a.openConnection(), 1, dist));
  settle(leader, [a]);
  return { leader, a, lnkConn, links, pair: (link: number) => pairName(a.id, link, lnkConn) };
}

describe('commands', () => {
  it('are one message for each turn and gateway, and in it one entry for each link', () => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    settle(leader, [a]);
    const before = a.stream!.sent.length;
    const lnkConns = [1, 2, 3].map(() => a.openLnkConn(a.openConnection()));
    const source = a.openConnection();
    const links = [1, 2].map((node) => a.openLink(source, node));
    a.flush();
    a.deliverUp();
    leader.core.flush();
    const sent = a.stream!.sent.slice(before);
    expect(sent).toHaveLength(1);
    const { relays, epoch } = sent[0]!.commands!;
    expect(epoch).toBe(1);
    expect(relays.map(({ gateway, link, close }) => ({ gateway, link, close }))).toEqual(
      links.map((link) => ({ gateway: '', link, close: [] })),
    );
    for (const { open } of relays) expect(open.toSorted()).toEqual(lnkConns);
  });

  it('describe a link of another gateway once, and report its end once', () => {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    settle(leader, [a, b]);
    const link = a.openLink(a.openConnection(), 1);
    b.openLnkConn(b.openConnection());
    settle(leader, [a, b]);
    b.openLnkConn(b.openConnection());
    settle(leader, [a, b]);
    a.closeLink(link);
    settle(leader, [a, b]);
    const commands = b.stream!.sent.flatMap((response) => response.commands ?? []);
    expect(commands.flatMap(({ links }) => links).map(({ gateway, link }) => ({ gateway, link }))).toEqual([
      { gateway: a.id, link },
    ]);
    expect(commands.flatMap(({ linksGone }) => linksGone)).toEqual([{ gateway: a.id, link }]);
  });

  it('report the end of a link also to gateways that only have it on demand', () => {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    settle(leader, [a, b]);
    // This link is too far to be selected.
    const link = a.openLink(a.openConnection(), 1, 17);
    const lnkConn = b.openLnkConn(b.openConnection());
    settle(leader, [a, b]);
    b.openOnDemand(`${a.id}:${link}>${lnkConn}`);
    settle(leader, [a, b]);
    a.closeLink(link);
    settle(leader, [a, b]);
    const commands = b.stream!.sent.flatMap((response) => response.commands ?? []);
    expect(commands.flatMap(({ links }) => links)).toEqual([]);
    expect(commands.flatMap(({ linksGone }) => linksGone)).toEqual([{ gateway: a.id, link }]);
    expect([...b.onDemand]).toEqual([]);
  });

  it('wait while the lease does not hold; then only the final state counts', () => {
    const { leader, a, lnkConn } = relaying();
    leader.freeze();
    const before = a.stream!.sent.length;
    const brief = a.openLink(a.openConnection(), 2);
    settle(leader, [a]);
    a.closeLink(brief);
    const lasting = a.openLink(a.openConnection(), 3);
    settle(leader, [a]);
    expect(a.stream!.sent.length).toBe(before);
    expect(leader.core.state.trees.tree.counts.links).toBe(2);
    leader.lead();
    settle(leader, [a]);
    expect(a.relays.has(pairName(a.id, lasting, lnkConn))).toBe(true);
    expect(a.opens).toBe(2);
  });

  it('wait until every gateway in the registry has attached, or for 5 s', () => {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    leader.presence.put('a', a.boot);
    leader.presence.put('b', b.boot);
    a.openLnkConn(a.openConnection());
    a.openLink(a.openConnection(), 1);
    settle(leader, [a]);
    expect(a.commandCount).toBe(0);
    leader.clock.advance(4999);
    settle(leader, [a]);
    expect(a.commandCount).toBe(0);
    leader.clock.advance(1);
    settle(leader, [a]);
    expect(a.relays.size).toBe(1);
  });

  it('wait 5 s for a gateway that theirs names, and are sent then, not at the next tick', async () => {
    const leader = new FakeLeader();
    // Out of step with the leader's ticks.
    leader.clock.advance(100);
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    a.named = [b.id];
    a.openLnkConn(a.openConnection());
    a.openLink(a.openConnection(), 1);
    settle(leader, [a]);
    // One timer, however often commands had to wait.
    const { pending } = leader.clock;
    leader.core.flush();
    expect(leader.clock.pending).toBe(pending);
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    leader.clock.advance(4999);
    await turn();
    const { length } = a.stream!.sent;
    leader.clock.advance(RETRY_MS);
    await turn();
    expect(a.stream!.sent.slice(length)).toMatchObject([{ commands: { relays: [{}] } }]);
  });

  it('that wait are dropped when the stream ends', () => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    a.named = ['b.00000001'];
    settle(leader, [a]);
    expect(leader.core.commander.tables()).toEqual({ queues: 1, streams: 1, waitingQueues: 1 });
    a.disconnect();
    expect(leader.core.commander.tables()).toEqual({ queues: 0, streams: 0, waitingQueues: 0 });
  });

  it('are sent as soon as the last gateway has attached', () => {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    leader.presence.put('a', a.boot);
    leader.presence.put('b', b.boot);
    a.openLnkConn(a.openConnection());
    a.openLink(a.openConnection(), 1);
    settle(leader, [a]);
    settle(leader, [a, b]);
    expect(a.relays.size).toBe(1);
  });

  it('are queued in order while the gateway does not read', () => {
    const { leader, a, lnkConn } = relaying();
    const stream = a.stream!;
    stream.accepts = false;
    const open = () => a.openLink(a.openConnection(), 2);
    const first = open();
    a.flush();
    a.deliverUp();
    leader.core.flush();
    const blockedAt = stream.sent.length;
    a.closeLink(first);
    const second = open();
    a.flush();
    a.deliverUp();
    leader.core.flush();
    leader.core.flush();
    expect(stream.sent.length).toBe(blockedAt);
    expect(leader.core.commander.queuedBytes).toBeGreaterThan(0);
    stream.drain();
    expect(stream.sent.length).toBe(blockedAt + 1);
    expect(leader.core.commander.queuedBytes).toBe(0);
    settle(leader, [a]);
    expect(a.relays.has(pairName(a.id, second, lnkConn))).toBe(true);
    const numbers = stream.sent.flatMap(({ commands }) => commands?.n ?? []);
    expect(numbers).toEqual(numbers.toSorted((x, y) => x - y));
  });

  // Limits: attach/command-queue.ts MAX_QUEUED_BYTES
  it('are dropped, and the stream is ended, when too many wait', () => {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    settle(leader, [a, b]);
    b.openLnkConn(b.openConnection());
    settle(leader, [a, b]);
    const stream = b.stream!;
    stream.accepts = false;
    const source = a.openConnection();
    // Each link costs the slow gateway a payload.
    for (let turn = 0; turn < 90 && !stream.over; turn++) {
      for (let i = 0; i < 1000; i++) a.openLink(source, 1000 * turn + i);
      a.flush();
      while (a.deliverUp());
      leader.core.flush();
    }
    expect(stream.error?.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(leader.core.commander.queuedBytes).toBe(0);
    settle(leader, [a, b]);
    expect(b.relays.size).toBe(a.links.size);
  });
});

describe('the end of a link', () => {
  it('is told only to gateways that know it, and not to its own', () => {
    const { leader, a, links } = relaying();
    const b = new FakeGateway('b');
    settle(leader, [a, b]);
    a.closeLink(links[0]!);
    settle(leader, [a, b]);
    const sent = [a, b].map(({ stream }) => stream!.sent.flatMap(({ commands }) => commands?.linksGone ?? []));
    expect(sent).toEqual([[], []]);
  });

  it('is told with its gateway if that is gone as a whole', () => {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    a.openLink(a.openConnection(), 1);
    b.openLnkConn(b.openConnection());
    settle(leader, [a, b]);
    expect(b.remote.size).toBe(1);
    a.disconnect();
    leader.clock.advance(5000);
    settle(leader, [b]);
    expect(b.gone).toEqual([a.id]);
    expect(b.stream!.sent.flatMap(({ commands }) => commands?.linksGone ?? [])).toEqual([]);
  });
});

describe('the other gateways', () => {
  it('are named to the attached ones as soon as they are in the registry', () => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    settle(leader, [a]);
    leader.presence.put('c', '00000001');
    settle(leader, [a]);
    expect(a.peers).toEqual(['c.00000001']);
  });

  it('are looked through only when they have changed', () => {
    const { leader, a } = relaying();
    const gateways = vi.spyOn(leader.presence, 'gateways');
    leader.core.flush();
    a.openLink(a.openConnection(), 2);
    settle(leader, [a]);
    expect(gateways).not.toHaveBeenCalled();
    leader.core.commander.membersChanged();
    leader.core.flush();
    leader.core.flush();
    expect(gateways).toHaveBeenCalledTimes(1);
  });
});

describe('a refusal', () => {
  it('is not followed by another offer while the selection stays the same, even by a new leader', () => {
    const { leader, a, links, pair } = relaying();
    a.refuse(pair(links[0]!));
    settle(leader, [a]);
    a.disconnect();
    const next = new FakeLeader({ epoch: 2, presence: leader.presence });
    settle(next, [a]);
    expect(a.relays.size).toBe(0);
    expect(a.opens).toBe(1);
  });

  it('that crosses a close and a new open refers to the old relay', () => {
    const { leader, a, links, pair } = relaying();
    const far = links[0]!;
    const near = a.openLink(a.openConnection(), 1, 0);
    a.flush();
    a.deliverUp();
    leader.core.flush();
    a.closeLink(near);
    a.flush();
    a.deliverUp();
    leader.core.flush();
    // The leader has closed and reopened the relay; the gateway has received neither command when its peer closes it.
    a.refuse(pair(far));
    settle(leader, [a]);
    expect(a.relays.has(pair(far))).toBe(true);
    expect(treeRelays(leader, a)).toEqual(new Set(a.relays.keys()));
  });

  it('that was lost with the stream is in the next snapshot', () => {
    const { leader, a, links, pair } = relaying();
    a.refuse(pair(links[0]!));
    a.disconnect();
    settle(leader, [a]);
    expect(a.relays.size).toBe(0);
    expect(treeRelays(leader, a).size).toBe(0);
    expect(a.opens).toBe(1);
  });

  it('does not count any more when a newer offer was lost with the stream', () => {
    const { leader, a, links, pair } = relaying();
    const far = links[0]!;
    a.refuse(pair(far));
    settle(leader, [a]);
    const near = a.openLink(a.openConnection(), 1, 0);
    settle(leader, [a]);
    a.closeLink(near);
    a.flush();
    a.deliverUp();
    leader.core.flush();
    // The newer offer is on its way when the stream breaks; the snapshot contains the refusal of the older one.
    a.disconnect();
    settle(leader, [a]);
    expect(a.relays.has(pair(far))).toBe(true);
    expect(treeRelays(leader, a)).toEqual(new Set([pair(far)]));
  });

  it('does not count any more then, though the link was offered to another LNK_CONN in between', () => {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    const [source, connection] = [a.openConnection('linkid'), a.openConnection('linkid')];
    const lnkConns = [a.openLnkConn(connection)];
    const [link, second] = [a.openLink(source, 1, 1), a.openLink(source, 1, 2)];
    settle(leader, [a]);
    a.refuse(pairName(a.id, link, lnkConns[0]!));
    settle(leader, [a]);
    lnkConns.push(a.openLnkConn(a.openConnection('linkid')));
    a.flush();
    a.deliverUp();
    leader.core.flush();
    // No refusal can be of an earlier offer to the other one.
    expect(leader.core.tables()).toMatchObject({ refusedPairs: 1, commandsInFlight: 0, linksInFlight: 0 });
    settle(leader, [a]);
    const offered = () => lnkConns.filter((lnkConn) => a.relays.has(pairName(a.id, link, lnkConn)));
    expect(offered()).toEqual([lnkConns[1]]);
    // The selection changes, and the offer is on its way when the stream breaks.
    a.closeLink(second);
    a.flush();
    a.deliverUp();
    leader.core.flush();
    a.disconnect();
    settle(leader, [a]);
    expect(offered()).toEqual(lnkConns);
    expect(treeRelays(leader, a)).toEqual(new Set(a.relays.keys()));
    expect(leader.core.tables()).toMatchObject({ refusedPairs: 0, commandsInFlight: 0, linksInFlight: 0 });
    expect(leader.core.state.gateways.get(a.id)?.refused.size).toBe(0);
  });

  it('of an offer that the gateway has obeyed counts, though the stream broke before the leader knew', () => {
    const { leader, a, links, pair } = relaying();
    const far = links[0]!;
    a.refuse(pair(far));
    settle(leader, [a]);
    const near = a.openLink(a.openConnection(), 1, 0);
    settle(leader, [a]);
    a.closeLink(near);
    a.flush();
    a.deliverUp();
    leader.core.flush();
    while (a.deliverDown());
    a.refuse(pair(far));
    const { opens } = a;
    a.disconnect();
    settle(leader, [a]);
    expect(a.opens).toBe(opens);
    expect(treeRelays(leader, a).size).toBe(0);
  });
});

describe('relays of links of a gateway that has not attached yet', () => {
  function restarted() {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    leader.presence.put('a', a.boot);
    leader.presence.put('b', b.boot);
    a.openLink(a.openConnection(), 1);
    b.openLnkConn(b.openConnection());
    settle(leader, [a, b]);
    a.disconnect();
    b.disconnect();
    return { a, b, next: new FakeLeader({ epoch: 2, presence: leader.presence }) };
  }

  it('remain while that gateway gives signs of life', () => {
    const { a, b, next } = restarted();
    settle(next, [b]);
    next.clock.advance(60_000);
    settle(next, [b]);
    expect(b.relays.size).toBe(1);
    expect(b.peers).toEqual([a.id]);
    settle(next, [a, b]);
    expect(b.relays.size).toBe(1);
    expect([b.opens, b.closes]).toEqual([1, 0]);
  });

  it('close when that gateway is dead', () => {
    const { a, b, next } = restarted();
    next.presence.silence('a');
    settle(next, [b]);
    next.clock.advance(4999);
    settle(next, [b]);
    expect([b.relays.size, b.closes, b.gone]).toEqual([1, 0, []]);
    next.clock.advance(1);
    settle(next, [b]);
    expect([b.relays.size, b.remote.size, b.peers, b.gone]).toEqual([0, 0, [], [a.id]]);
    expect([...next.presence.records.keys()]).toEqual(['b']);
  });

  it('close when that gateway attaches without the link', () => {
    const { a, b, next } = restarted();
    for (const id of [...a.links.keys()]) a.closeLink(id);
    settle(next, [a, b]);
    expect(b.relays.size).toBe(0);
    expect(b.remote.size).toBe(0);
  });
});

describe('a peer that reconnects before its old connection is known to be dead', () => {
  function twice() {
    const leader = new FakeLeader();
    const a = new FakeGateway('a');
    settle(leader, [a]);
    const old = a.openConnection('circuit', '192.0.2.5:1000');
    a.openLnkConn(old, 7);
    const oldLink = a.openLink(old, 1, 1);
    const watcher = a.openLnkConn(a.openConnection());
    settle(leader, [a]);
    const young = a.openConnection('circuit', '192.0.2.5:1001');
    a.openLnkConn(young, 7);
    const youngLink = a.openLink(young, 1, 1);
    settle(leader, [a]);
    const relayed = () => [oldLink, youngLink].filter((link) => a.relays.has(pairName(a.id, link, watcher)));
    return { leader, a, old, young, oldLink, youngLink, relayed };
  }

  it('has its old connection probed, and links on it rank behind others', () => {
    const { a, old, youngLink, relayed } = twice();
    expect(a.probed).toEqual([old]);
    expect(relayed()).toEqual([youngLink]);
  });

  it('is taken for two peers if both connections are alive', () => {
    const { leader, a, old, oldLink, relayed } = twice();
    a.alive(old);
    settle(leader, [a]);
    expect(relayed()).toEqual([oldLink]);
    expect(leader.core.state.gateways.get(a.id)!.connections.get(old)!.suspect).toBe(false);
    expect(a.probed).toEqual([old]);
  });

  it('stays suspect under a new leader, which does not probe again', () => {
    const { leader, a, old, youngLink, relayed } = twice();
    a.disconnect();
    const next = new FakeLeader({ epoch: 2, presence: leader.presence });
    settle(next, [a]);
    expect(relayed()).toEqual([youngLink]);
    expect(a.probed).toEqual([old]);
    expect(next.core.state.gateways.get(a.id)!.connections.get(old)!.suspect).toBe(true);
  });

  it('does not make its younger connection suspect when the older one sends a LNK_CONN', () => {
    const { leader, a, old, young } = twice();
    a.alive(old);
    a.openLnkConn(old, 7);
    settle(leader, [a]);
    expect(a.probed).toEqual([old]);
    expect(leader.core.state.gateways.get(a.id)!.connections.get(young)!.suspect).toBe(false);
  });

  it('is not probed by a new leader that finds both connections: the previous one has done so', () => {
    const { leader, a, old, oldLink, relayed } = twice();
    a.alive(old);
    settle(leader, [a]);
    a.disconnect();
    settle(new FakeLeader({ epoch: 2, presence: leader.presence }), [a]);
    expect(a.probed).toEqual([old]);
    expect(relayed()).toEqual([oldLink]);
  });

  it('is probed again if the command was lost with the stream', () => {
    const { leader, a, old } = twice();
    a.connections.get(old)!.suspect = false;
    a.disconnect();
    settle(leader, [a]);
    expect(a.probed).toEqual([old, old]);
  });

  it.each([
    ['another address', '192.0.2.6:1000', 7],
    ['another identity', '192.0.2.5:1002', 8],
  ])('is a different peer with %s', (_, remote, identity) => {
    const { leader, a } = twice();
    a.openLnkConn(a.openConnection('circuit', remote), identity);
    settle(leader, [a]);
    expect(a.probed).toHaveLength(1);
  });

  it('may reconnect to another gateway', () => {
    const { leader, a, young } = twice();
    const b = new FakeGateway('b');
    settle(leader, [a, b]);
    b.openLnkConn(b.openConnection('circuit', '192.0.2.5:1009'), 7);
    settle(leader, [a, b]);
    expect(a.probed).toContain(young);
  });
});

describe('a link whose gateway cannot be reached', () => {
  it('is skipped for the LNK_CONNs of that gateway only', () => {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    const near = a.openLink(a.openConnection(), 1, 0);
    const far = b.openLink(b.openConnection(), 1, 3);
    const atA = a.openLnkConn(a.openConnection());
    const atB = b.openLnkConn(b.openConnection());
    settle(leader, [a, b]);
    b.reach(a.id, false);
    settle(leader, [a, b]);
    expect([...b.relays.keys()]).toEqual([pairName(b.id, far, atB)]);
    expect([...a.relays.keys()]).toEqual([pairName(a.id, near, atA)]);
    // A link that opens later is skipped, too.
    a.openLink(a.openConnection(), 2);
    settle(leader, [a, b]);
    expect(b.relays.size).toBe(1);
    b.reach(a.id, true);
    settle(leader, [a, b]);
    expect(b.relays.has(pairName(a.id, near, atB))).toBe(true);
    expect(b.relays.size).toBe(2);
  });
});
