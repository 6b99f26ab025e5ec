import { WatchMediaResponse } from '@spanmesh/proto/v1/dial';
import { Dialect } from '@spanmesh/proto/v1/types';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import type { GatewayRecord } from '@spanmesh/runtime/gateways/registry';
import { createLogger, Throttle } from '@spanmesh/runtime/log/logger';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import { describe, expect, it } from 'vitest';
import { OrderError } from './gateways/gateway-port.ts';
import { settings } from './settings.ts';
import type { WantedTarget } from './targets/wanted-targets.ts';
import { Term } from './term.ts';
import { FakePort } from './testing/fake-port.fixture.ts';
import { copyOf, MEDIA } from './testing/world.fixture.ts';

const EPOCH = 7;
const UP = { connection: 5, remoteAddress: '192.0.2.9:987' };
const settle = () => new Promise((resolve) => setImmediate(resolve));

/** A term whose gateways answer only when the test says so. */
function rig(env: Record<string, string> = {}) {
  const clock = new FakeClock();
  const entries = new Map<string, GatewayRecord>();
  const ports = new Map<string, FakePort>();
  const told: string[] = [];
  const log: Record<string, unknown>[] = [];
  const wanted = new Map<string, WantedTarget>();
  const operators = { loaded: true, all: () => wanted.values(), get: (name: string) => wanted.get(name) };
  const is: { leadingSince: number | null } = { leadingSince: 0 };
  const term = new Term(
    { epoch: EPOCH, settings: readSettings(settings, { env, flags: {} }) },
    {
      clock,
      random: () => 0,
      logger: createLogger({
        level: 'info',
        service: 'test',
        destination: { write: (line: string) => void log.push(JSON.parse(line)) },
      }),
      throttle: new Throttle({ intervalMs: 10_000 }, { clock }),
      present: () => entries.values(),
      connect: ({ name }) => {
        const port = new FakePort();
        ports.set(name, port);
        return port;
      },
      leadingSince: () => is.leadingSince,
      operators,
      sink: {
        became: (name, target, was) => told.push(`${name} became ${target.state.kind}, was ${was}`),
        slot: (slot, was) => told.push(`slot ${slot.index}: ${was}`),
        slotGone: (slot) => told.push(`slot ${slot.index} gone`),
        operator: (name, _, was) => told.push(`operator ${name}: ${was}`),
        operatorGone: (name) => told.push(`operator ${name} gone`),
        staleEpoch: (heard) => told.push(`stale: ${heard}`),
      },
    },
  );
  const enter = (name: string, boot = '1'): FakePort => {
    const firstBoot = entries.get(name)?.firstBoot ?? '1';
    entries.set(name, { name, boot, firstBoot, serviceAddress: 'x:1', version: '', draining: false });
    term.check();
    return ports.get(name)!;
  };
  const says = (name: string, fields: object, isEnd = true): void => {
    const end = isEnd ? { snapshotEnd: true, gateway: `${name}.1`, firstBoot: '1' } : {};
    ports
      .get(name)!
      .watches.at(-1)!
      .sink.message(WatchMediaResponse.fromPartial({ ...end, ...fields }));
  };
  const want = (name: string, path = 'span:host', dialect: 'auto' | 'linkid' = 'auto'): void => {
    wanted.set(name, { name, path, dialect, origin: 'operator' });
    term.operatorChanged(name);
  };
  const unwant = (name: string): void => {
    wanted.delete(name);
    term.operatorChanged(name);
  };
  const news = () => told.splice(0);
  const lines = () => log.map(({ msg }) => msg);
  return { clock, entries, ports, log, lines, operators, wanted, is, term, enter, says, want, unwant, news };
}

let stamp = 0;
const opened = (lnkConn: number, principal = '192.0.2.1') => ({
  lnkConn,
  mediaId: MEDIA,
  dialect: Dialect.DIALECT_CIRCUIT,
  principal,
});
const slot = (lnkConn: number, index: number, ...copy: Parameters<typeof copyOf>) => ({
  lnkConn,
  index,
  copy: Buffer.from(copyOf(...copy)),
  receivedUs: ++stamp,
});
const standing = (owner: string, generation = 1, host = 'host') => ({
  owner,
  epoch: EPOCH - 1,
  generation,
  ...UP,
  host,
  port: 987,
  dialect: Dialect.DIALECT_CIRCUIT,
});
const OWNER = (index: number) => `media ${MEDIA}/slot ${index}`;

describe('a slot of a media', () => {
  it('is ordered with its media, its label and its principal', () => {
    const { enter, says } = rig();
    const port = enter('gw');
    says('gw', { opened: [opened(1)], slots: [slot(1, 3, 'span:host:1000', { label: 'far' })] });
    expect(port.dials.map(({ request }) => request)).toMatchObject([
      {
        owner: OWNER(3),
        label: `${OWNER(3)} (far)`,
        mediaId: MEDIA,
        principal: '192.0.2.1',
        byOperator: false,
        host: 'host',
        port: 1000,
        dialect: Dialect.DIALECT_CIRCUIT,
      },
    ]);
  });

  it('runs a new copy once no connection of the old one is left, and reports each step', async () => {
    const { term, enter, says, news } = rig();
    const port = enter('gw');
    says('gw', { opened: [opened(1)], slots: [slot(1, 3, 'span:a')] });
    const one = term.media.slot(MEDIA, 3)!;
    expect([one.pending, one.running?.path]).toEqual([null, 'span:a']);
    expect(news()).toEqual([
      `${MEDIA}/3 became ready, was stopped`,
      'slot 3: stopped',
      // The slot is new; then the snapshot is complete.
      'slot 3: null',
      `${MEDIA}/3 became dialling, was ready`,
      'slot 3: ready',
    ]);
    port.dials[0]!.answer(UP);
    await settle();
    news();
    says('gw', { slots: [slot(1, 3, 'span:b')] }, false);
    expect([one.pending?.path, one.running?.path]).toEqual(['span:b', 'span:a']);
    expect(news()).toEqual([`${MEDIA}/3 became ready, was running`, 'slot 3: running', 'slot 3: ready']);
    port.hangups[0]!.answer();
    await settle();
    expect([one.pending, one.running?.path, port.dials.at(-1)!.request.host]).toEqual([null, 'span:b', 'b']);
  });

  it('stops when its path leads nowhere, and is gone with its LNK_CONN', async () => {
    const { term, enter, says, news } = rig();
    const port = enter('gw');
    says('gw', { opened: [opened(1)], slots: [slot(1, 3, 'span:a')] });
    port.dials[0]!.answer(UP);
    await settle();
    says('gw', { slots: [slot(1, 3, 'nowhere')] }, false);
    expect(term.media.slot(MEDIA, 3)!.target!.state.kind).toBe('stopped');
    port.hangups[0]!.answer();
    await settle();
    news();
    says('gw', { closed: [1] }, false);
    expect(news()).toEqual(['slot 3 gone']);
    expect(Object.entries(term.tables()).filter(([, size]) => size > 0)).toEqual([['gateways', 1]]);
  });

  it('goes with its LNK_CONN, which a later snapshot does not contain', async () => {
    const { term, enter, says, ports, clock } = rig();
    enter('gw');
    says('gw', { opened: [opened(1), opened(2)], slots: [slot(1, 3, 'span:a')] });
    ports.get('gw')!.watches[0]!.sink.ended(new OrderError('unknown', 'away'));
    clock.advance(100);
    says('gw', { opened: [opened(2)] });
    expect([term.media.lnkConns, term.media.slots]).toEqual([1, 1]);
    ports.get('gw')!.watches[1]!.sink.ended(new OrderError('unknown', 'away'));
    clock.advance(100);
    says('gw', {});
    expect([term.media.lnkConns, term.media.slots]).toEqual([0, 0]);
  });

  it('that is illegal, or another principal’s, is counted, and logged once in a while', () => {
    const { term, enter, says, log } = rig();
    enter('gw');
    says('gw', { opened: [opened(1)], slots: [slot(1, 256, 'span:a'), slot(1, 256, 'span:a')] });
    says('gw', { opened: [opened(2, '192.0.2.2')], slots: [slot(2, 1, 'span:a')] }, false);
    expect(term.slotsIgnored).toBe(3);
    const ignored = log.filter(({ msg }) => msg === 'LNK_VOLCONF ignored');
    expect(ignored.map(({ fault, principal, gateway }) => [fault, principal, gateway])).toEqual([
      ['index', '192.0.2.1', 'gw.1'],
      ['not-the-owner', '192.0.2.2', 'gw.1'],
    ]);
  });

  it('reports that the policy holds it back, and that it does so no more', async () => {
    const { term, enter, says, news } = rig({ SPANMESH_VOLCONF_POLICY: 'priority' });
    const port = enter('gw');
    says('gw', { opened: [opened(1)], slots: [slot(1, 1, 'span:worse', { priority: 1 })] });
    port.dials[0]!.answer(UP);
    await settle();
    says('gw', { slots: [slot(1, 2, 'span:best', { priority: 9 })] }, false);
    const held = () => [...term.media.all()].map(({ index, heldBack }) => [index, heldBack]);
    expect(held()).toEqual([
      [1, true],
      [2, false],
    ]);
    port.hangups[0]!.answer();
    await settle();
    expect([port.dials.length, port.dials.at(-1)!.request.host]).toEqual([2, 'best']);
    news();
    // The better slot has no destination any more: the worse one is connected again.
    says('gw', { slots: [slot(1, 2, 'nowhere', { priority: 9 })] }, false);
    expect(held()).toEqual([
      [1, false],
      [2, false],
    ]);
    expect(news()).toContain('slot 1: dialling');
    expect(port.dials.at(-1)!.request.host).toBe('worse');
    says('gw', { closed: [1] }, false);
    expect(term.tables()).toMatchObject({ groups: 0, groupsOfSlots: 0, undecided: 0, slotsOfTargets: 0 });
  });

  it('that changes its cluster is compared with slots of the new cluster only', () => {
    const { term, enter, says } = rig({ SPANMESH_VOLCONF_POLICY: 'priority' });
    enter('gw');
    says('gw', {
      opened: [opened(1)],
      slots: [slot(1, 1, 'span:a', { priority: 1 }), slot(1, 2, 'span:b', { priority: 9 })],
    });
    expect(term.media.slot(MEDIA, 1)!.heldBack).toBe(true);
    const cluster = '0b8f1a52-6c3d-11e4-8a21-000000000000';
    says('gw', { slots: [slot(1, 2, 'span:b', { priority: 9, cluster })] }, false);
    expect(term.media.slot(MEDIA, 1)!.heldBack).toBe(false);
    expect(term.tables()).toMatchObject({ groups: 2, groupsOfSlots: 2 });
  });
});

describe('an operator’s target', () => {
  it('is ordered as one with any destination, and reported', () => {
    const { enter, says, want, unwant, news, term } = rig();
    const port = enter('gw');
    says('gw', {});
    want('far', 'span:host', 'linkid');
    expect(port.dials[0]!.request).toMatchObject({
      owner: 'far',
      label: 'far',
      byOperator: true,
      principal: '',
      mediaId: '',
      dialect: Dialect.DIALECT_LINKID,
    });
    expect(news()).toEqual([
      'far became ready, was stopped',
      'operator far: stopped',
      'far became dialling, was ready',
      'operator far: ready',
      'operator far: null',
    ]);
    expect([...term.operators()].map(([name]) => name)).toEqual(['far']);
    // These calls change nothing.
    term.operatorChanged('far');
    term.operatorChanged('nobody');
    expect(news()).toEqual([]);
    unwant('far');
    expect(news().at(-1)).toBe('operator far gone');
    expect([term.operator('far'), port.hangups.length]).toEqual([undefined, 1]);
  });

  it('that is changed is hung up and dialled anew, without its earlier error', async () => {
    const { enter, says, want, term, news } = rig();
    const port = enter('gw');
    says('gw', {});
    want('far');
    port.dials[0]!.fail(new OrderError('failed', 'nobody answers there'));
    await settle();
    expect(term.operator('far')!.target.lastError).toBe('nobody answers there');
    news();
    want('far', 'span:other');
    expect(term.operator('far')!.target).toMatchObject({ lastError: '', attempts: 1, state: { kind: 'dialling' } });
    expect(news().at(-1)).toBe('operator far: waiting');
    want('far', 'nowhere');
    expect(term.operator('far')!.target.state.kind).toBe('stopped');
  });

  it('that is wanted when the term begins is known from the start', () => {
    const { wanted, term, news } = rig();
    wanted.set('far', { name: 'far', path: 'span:host', dialect: 'auto', origin: 'operator' });
    term.start();
    expect([term.operator('far')?.asked.path, news().at(-1)]).toEqual(['span:host', 'operator far: null']);
  });
});

describe('a connection established before the term', () => {
  it('that no target wants is hung up once all gateways and the store are loaded', async () => {
    const { operators, term, enter, says } = rig();
    operators.loaded = false;
    const port = enter('a');
    enter('b');
    says('a', { up: [standing(OWNER(3))] });
    says('b', {});
    expect(port.hangups).toEqual([]);
    operators.loaded = true;
    term.check();
    expect(port.hangups.map(({ request }) => request)).toMatchObject([{ owner: OWNER(3), reason: 'nobody wants it' }]);
    port.hangups[0]!.answer();
    await settle();
    term.check();
    expect(port.hangups).toHaveLength(1);
  });

  it('is adopted by the target that wants it, even if another gateway reports that target', () => {
    const { term, enter, says } = rig();
    const port = enter('a');
    enter('b');
    says('a', { up: [standing(OWNER(3))] });
    says('b', { opened: [opened(1)], slots: [slot(1, 3, 'span:host')] });
    expect([port.hangups.length, port.dials.length, term.reconciler.adopted]).toEqual([0, 0, 1]);
    expect(term.media.slot(MEDIA, 3)!.target!.state.kind).toBe('running');
  });

  it('that a later snapshot does not contain is lost', async () => {
    const { term, enter, says, ports, clock } = rig();
    enter('a');
    says('a', { opened: [opened(1)], slots: [slot(1, 3, 'span:host')], up: [standing(OWNER(3))] });
    ports.get('a')!.watches[0]!.sink.ended(new OrderError('unknown', 'away'));
    clock.advance(100);
    // The snapshot comes in two parts.
    says('a', { opened: [opened(1)] }, false);
    expect(term.tables()).toMatchObject({ snapshotsBeingRead: 1 });
    says('a', { up: [standing(OWNER(3))] });
    expect(term.reconciler.connectionsLost).toBe(0);
    expect(term.tables()).toMatchObject({ snapshotsBeingRead: 0 });
    ports.get('a')!.watches[1]!.sink.ended(new OrderError('unknown', 'away'));
    clock.advance(100);
    says('a', { opened: [opened(1)] });
    expect(term.reconciler.connectionsLost).toBe(1);
  });

  it('ends with its gateway’s message; a gateway that stops gets no more orders', () => {
    const { term, enter, says, want } = rig();
    const port = enter('a');
    says('a', {});
    want('far', 'span:host', 'auto');
    const down = { owner: 'far', epoch: EPOCH, generation: 1, reason: 'stopping', gatewayStops: true };
    says('a', { up: [{ ...standing('far'), epoch: EPOCH }], down: [down] }, false);
    expect(term.operator('far')!.target.state.kind).toBe('ready');
    expect([port.dials.length, [...term.fleet.live()]]).toEqual([1, []]);
  });
});

describe('a gateway', () => {
  it('is logged when it is watched, cannot be watched, continues under another id or is gone', async () => {
    const { enter, says, ports, entries, lines, log, clock, term } = rig();
    enter('a');
    says('a', { up: [standing('x')] });
    enter('a', '2');
    for (let i = 0; i < 2; i++) {
      ports.get('a')!.watches.at(-1)!.sink.ended(new OrderError('unknown', 'the way is gone'));
      clock.advance(i === 0 ? 100 : 0);
    }
    expect(lines()).toEqual(['gateway is watched', 'gateway goes on under another id', 'gateway cannot be watched']);
    expect(log[0]).toMatchObject({ gateway: 'a.1', connections: 1 });
    expect(log[2]).toMatchObject({ gateway: 'a.2', why: 'the way is gone' });
    entries.clear();
    clock.advance(5000);
    ports.get('a')!.watches.at(-1)!.sink.ended(new OrderError('unknown', 'away'));
    expect(lines().at(-1)).toBe('gateway is gone');
    expect([term.fleet.size, term.media.lnkConns]).toEqual([0, 0]);
  });

  it('is gone at once when its watch breaks after its entry in the registry has gone', () => {
    const { enter, says, ports, entries, clock, term } = rig();
    enter('a');
    says('a', {});
    entries.clear();
    clock.advance(5000);
    term.check();
    expect(term.fleet.size).toBe(1);
    ports.get('a')!.watches.at(-1)!.sink.ended(new OrderError('unknown', 'away'));
    expect(term.fleet.size).toBe(0);
  });

  it('is gone with its slots; unwanted connections are hung up if it was the last one awaited', () => {
    const { enter, says, entries, clock, term, ports } = rig();
    const port = enter('a');
    enter('b');
    says('a', { up: [standing('x')] });
    entries.delete('b');
    clock.advance(5000);
    expect(port.hangups).toEqual([]);
    ports.get('b')!.watches.at(-1)!.sink.ended(new OrderError('unknown', 'away'));
    expect([term.fleet.size, port.hangups.length]).toEqual([1, 1]);
  });

  it('that has heard of a later leader says so, which is not logged', () => {
    const { enter, ports, news, lines } = rig();
    enter('a');
    ports.get('a')!.watches[0]!.sink.ended(new OrderError('stale-epoch', 'stale', { epoch: 9 }));
    expect([news(), lines()]).toEqual([['stale: 9'], []]);
  });

  it('gets no orders while the lease does not hold, and the due ones when it does', () => {
    const { enter, says, want, is, term } = rig();
    const port = enter('a');
    says('a', {});
    is.leadingSince = null;
    want('far');
    expect(port.dials).toEqual([]);
    is.leadingSince = 0;
    term.check();
    expect(port.dials).toHaveLength(1);
  });
});

it('a term that is over leaves connections established, and orders nothing', async () => {
  const { enter, says, want, term, clock } = rig();
  const port = enter('a');
  says('a', {});
  want('far');
  port.dials[0]!.answer(UP);
  await settle();
  term.close();
  expect([port.isClosed, port.hangups.length, clock.pending, term.fleet.size]).toEqual([true, 0, 0, 0]);
});
