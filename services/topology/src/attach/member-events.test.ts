import { EventKind } from '@spanmesh/proto/v1/events';
import type { Happened } from '@spanmesh/runtime/events/event-teller';
import type { Living, Missed } from '@spanmesh/runtime/gateways/signs-of-life';
import { describe, expect, it } from 'vitest';
import { MemberEvents } from './member-events.ts';

const gateway = (id: string) => ({ id, serviceAddress: 'host:1', version: '1' });

function world() {
  const told: Happened[] = [];
  const living: Living[] = [];
  const missed: Missed[] = [];
  const members = new MemberEvents({
    events: { tell: (happened) => told.push(happened) },
    presence: { living: (kind) => living.filter((one) => one.kind === kind), missed: () => missed },
  });
  const news = () => told.splice(0).map(({ kind, subject, member }) => [kind, subject, member?.reason]);
  const term = (gateways: string[] = []) => members.termBegins({ address: 'me:1', epoch: 7, gateways });
  return { members, living, missed, news, term };
}

describe('the events of a leader about members', () => {
  it('begin with its own leadership', () => {
    const { news, term } = world();
    term();
    expect(news()).toEqual([[EventKind.EVENT_KIND_LEADER_CHANGED, 'topology at me:1', '']]);
  });

  it('are gateways that join, are lost, return, stop, and are dead', () => {
    const { members, news, term } = world();
    term();
    news();
    members.gatewayAttached(gateway('a.1'));
    members.gatewayLost(gateway('a.1'), { goodbye: false });
    members.gatewayAttached(gateway('a.1'));
    members.gatewayLost(gateway('a.1'), { goodbye: true });
    members.gatewayDead('b.1', 5000);
    expect(news()).toEqual([
      [EventKind.EVENT_KIND_GATEWAY_JOINED, 'a.1', ''],
      [EventKind.EVENT_KIND_GATEWAY_LOST, 'a.1', 'its stream has broken'],
      [EventKind.EVENT_KIND_GATEWAY_JOINED, 'a.1', 'it has attached again'],
      [EventKind.EVENT_KIND_GATEWAY_LOST, 'a.1', 'it stops'],
      [EventKind.EVENT_KIND_GATEWAY_DEAD, 'b.1', 'it has been silent for 5 s'],
    ]);
  });

  it('do not include that gateways of the previous leader attach to it', () => {
    const { members, news, term } = world();
    term(['a.1']);
    news();
    members.gatewayAttached(gateway('a.1'));
    members.gatewayAttached(gateway('b.1'));
    expect(news()).toEqual([[EventKind.EVENT_KIND_GATEWAY_JOINED, 'b.1', '']]);
  });

  it('are replicas that join, are silent, or stop', () => {
    const { members, living, missed, news, term } = world();
    const [one, two] = [
      { kind: 'topology', id: 'x', name: 'host:1' },
      { kind: 'volconf', id: 'y', name: 'host:2' },
    ] as const;
    living.push(one);
    term();
    news();
    members.look();
    living.push(two);
    members.look();
    members.look();
    expect(news()).toEqual([[EventKind.EVENT_KIND_REPLICA_JOINED, 'volconf at host:2', '']]);
    living.splice(0);
    missed.push({ ...one, since: 0 });
    members.look();
    members.look();
    expect(news()).toEqual([
      [EventKind.EVENT_KIND_REPLICA_LOST, 'topology at host:1', 'it gives no sign of life'],
      [EventKind.EVENT_KIND_REPLICA_LOST, 'volconf at host:2', 'it stops'],
    ]);
  });

  it('are not replicas that went while another one led: that one has told of them', () => {
    const { members, living, news, term } = world();
    living.push({ kind: 'topology', id: 'x', name: 'host:1' }, { kind: 'volconf', id: 'y', name: 'host:2' });
    term();
    living.pop();
    term();
    news();
    members.look();
    expect(news()).toEqual([]);
  });

  // Limits: attach/member-events.ts MAX_REPLICAS
  it('include a limited number of replicas, and another one when one has gone', () => {
    const { members, living, news, term } = world();
    term();
    news();
    const replica = (n: number) => ({ kind: 'volconf', id: `${n}`, name: `host:${n}` }) as const;
    for (let n = 0; n < 256; n++) living.push(replica(n));
    members.look();
    expect(news()).toHaveLength(256);
    living.push(replica(256));
    members.look();
    expect(news()).toEqual([]);
    living.shift();
    members.look();
    members.look();
    expect(news()).toEqual([
      [EventKind.EVENT_KIND_REPLICA_LOST, 'volconf at host:0', 'it stops'],
      [EventKind.EVENT_KIND_REPLICA_JOINED, 'volconf at host:256', ''],
    ]);
  });

  it('contain address, epoch and version; the important ones are logged', () => {
    const told: unknown[] = [];
    const members = new MemberEvents({
      events: { tell: ({ member, principal }, how) => told.push([principal, member, how]) },
      presence: { living: () => [], missed: () => [] },
    });
    members.termBegins({ address: 'me:1', epoch: 7, gateways: ['dead.1'] });
    members.gatewayAttached(gateway('a.1'));
    members.gatewayDead('dead.1', 1499);
    // This gateway was the previous leader's, and has been dead since.
    members.gatewayAttached(gateway('dead.1'));
    const none = { address: '', epoch: 0, version: '', reason: '' };
    const joined = { ...none, address: 'host:1', version: '1', service: 'link-gateway' };
    expect(told).toEqual([
      ['topology at me:1', { ...none, address: 'me:1', epoch: 7, service: 'topology' }, {}],
      ['a.1', joined, { isLogged: true }],
      ['dead.1', { ...none, reason: 'it has been silent for 1 s', service: 'link-gateway' }, { isLogged: true }],
      ['dead.1', joined, { isLogged: true }],
    ]);
  });

  it('begin anew with each term', () => {
    const { members, living, news, term } = world();
    term();
    members.gatewayLost(gateway('a.1'), { goodbye: false });
    living.push({ kind: 'volconf', id: 'y', name: 'host:2' });
    members.look();
    term();
    news();
    members.gatewayAttached(gateway('a.1'));
    members.look();
    expect(news()).toEqual([[EventKind.EVENT_KIND_GATEWAY_JOINED, 'a.1', '']]);
  });
});
