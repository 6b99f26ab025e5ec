import { EventEmitter } from 'node:events';
import { Metadata, status } from '@grpc/grpc-js';
import { type Event, EventKind } from '@spanmesh/proto/v1/events';
import { type Target as ApiTarget, TargetState, type WatchTargetsResponse } from '@spanmesh/proto/v1/volconf';
import { ALL_EVENTS, EVENT_REPORTS, SIGNS_OF_LIFE } from '@spanmesh/runtime/bus/bus-names';
import { decodeReport } from '@spanmesh/runtime/events/event-report';
import { afterEach, describe, expect, it } from 'vitest';
import { OrderError } from './gateways/gateway-port.ts';
import { MAX_WATCHES, MAX_WATCHES_PER_USER, STORE_RETRY_MS } from './limits.ts';
import { copyOf, MEDIA, MEDIA_2, settle, World } from './testing/world.fixture.ts';

let world: World;
afterEach(async () => {
  expect(world.doubles).toEqual([]);
  await world.stop();
});

/** The epoch of a term that begins at the fake clock's beginning: its wall clock in seconds. */
const EPOCH = 1_600_000_000;
const OWNER_3 = `media ${MEDIA}/slot 3`;

describe('a slot', () => {
  it('is connected in the dialect of its LNK_CONN, to the default port of the setting', async () => {
    world = await World.start();
    const conn = world.gateway.openConn(MEDIA, 2);
    world.volconf(world.gateway, conn, 3, copyOf('span:host', { copyId: 3 }));
    await world.advance(100);
    expect(world.connections()).toEqual([`${OWNER_3} host:987`]);
    expect(world.gateway.owners.get(OWNER_3)!.up).toMatchObject({ dialect: 2, generation: 1 });
    expect(world.leader.term!.media.slot(MEDIA, 3)!.target!.state.kind).toBe('running');
  });

  it('is unchanged when the same 128 bytes come again', async () => {
    world = await World.start();
    const conn = world.gateway.openConn(MEDIA);
    for (let i = 0; i < 3; i++) {
      world.volconf(world.gateway, conn, 3, copyOf('span:host:1000'));
      await world.advance(100);
    }
    expect(world.gateway.log).toEqual([`dial ${OWNER_3} ${EPOCH}.1 host:1000`]);
  });

  it('is restarted when they have changed, after the old connection has been hung up', async () => {
    world = await World.start();
    const conn = world.gateway.openConn(MEDIA);
    world.volconf(world.gateway, conn, 3, copyOf('span:a'));
    await world.advance(100);
    world.volconf(world.gateway, conn, 3, copyOf('span:b'));
    await world.advance(100);
    expect(world.gateway.log).toEqual([
      `dial ${OWNER_3} ${EPOCH}.1 a:987`,
      `hangup ${OWNER_3} ${EPOCH}.1`,
      `dial ${OWNER_3} ${EPOCH}.2 b:987`,
    ]);
    expect(world.connections()).toEqual([`${OWNER_3} b:987`]);
  });

  it.each([
    ['copyid 0', copyOf('span:host', { copyId: 0 })],
    ['no span:', copyOf('file:host')],
    ['no host', copyOf('span:')],
    ['no port', copyOf('span:host:0')],
  ])('is stopped by %s', async (_, copy) => {
    world = await World.start();
    const conn = world.gateway.openConn(MEDIA);
    world.volconf(world.gateway, conn, 3, copyOf('span:a'));
    await world.advance(100);
    world.volconf(world.gateway, conn, 3, copy);
    await world.advance(100);
    expect(world.connections()).toEqual([]);
    expect(world.leader.term!.media.slot(MEDIA, 3)!.target!.state.kind).toBe('stopped');
  });
});

describe('a slot or target with a new destination', () => {
  const shown = (index: number) => world.leader.term!.media.slot(MEDIA, index)!.target!;

  it('shows its own error and attempts, not those of the previous destination', async () => {
    world = await World.start();
    world.hosts.set('bad', 'refuses');
    const conn = world.gateway.openConn(MEDIA);
    world.volconf(world.gateway, conn, 3, copyOf('span:bad'));
    await world.advance(3500);
    expect(shown(3)).toMatchObject({ lastError: 'nobody answers there', attempts: 3 });
    world.volconf(world.gateway, conn, 3, copyOf('span:good'));
    await world.advance(100);
    expect(shown(3)).toMatchObject({ state: { kind: 'running' }, lastError: '', lastErrorAt: 0 });
    world.volconf(world.gateway, conn, 3, copyOf('span:bad'));
    await world.advance(3500);
    world.volconf(world.gateway, conn, 3, copyOf('notspan'));
    await world.advance(100);
    expect(shown(3)).toMatchObject({ state: { kind: 'stopped' }, lastError: '', attempts: 0 });
  });

  it('is connected at once when an operator’s target is set again under the name of a removed one', async () => {
    world = await World.start({ gateways: 2, replicas: 2 });
    world.hosts.set('bad', 'refuses');
    await world.targets.put('far', 'span:bad');
    await world.advance(10_000);
    for (let i = 0; i < 2; i++) {
      await world.targets.remove('far');
      await world.advance(100);
      await world.targets.put('far', 'span:good');
      await world.advance(100);
      expect(world.connections()).toEqual(['far good:987']);
      expect(world.leader.term!.operator('far')!.target).toMatchObject({ lastError: '', attempts: 0 });
    }
    // Meanwhile another target is set, and another replica takes over.
    await world.targets.remove('far');
    await world.advance(100);
    await world.targets.put('other', 'span:good');
    await world.stopReplica(world.leader);
    await world.advance(2000);
    await world.targets.put('far', 'span:good');
    await world.advance(100);
    expect(world.connections()).toEqual(['far good:987', 'other good:987']);
  });
});

describe('a media that two peers name', () => {
  const other = '198.51.100.7';

  it('belongs to the peer that had it first, until that one leaves', async () => {
    world = await World.start({ gateways: 2 });
    const [a, b] = world.gateways;
    const conn = a!.openConn(MEDIA);
    world.volconf(a!, conn, 3, copyOf('span:good'));
    await world.advance(100);
    const evil = b!.openConn(MEDIA, 1, other);
    world.volconf(b!, evil, 3, copyOf('span:evil'));
    await world.advance(100);
    world.volconf(b!, evil, 3, copyOf('x', { copyId: 0 }));
    world.volconf(b!, evil, 4, copyOf('span:evil'));
    await world.advance(100);
    expect(world.connections()).toEqual([`${OWNER_3} good:987`]);
    expect(world.log.filter(({ fault }) => fault === 'not-the-owner')).toMatchObject([{ principal: other }]);
    a!.closeConn(conn);
    await world.advance(100);
    expect(world.connections()).toEqual([`media ${MEDIA}/slot 4 evil:987`]);
  });

  it('remains with that peer when another leader hears of the second one first', async () => {
    world = await World.start({ gateways: 2, replicas: 2 });
    const [a, b] = world.gateways;
    a!.clockAhead = 5_000_000;
    const conn = a!.openConn(MEDIA);
    world.volconf(a!, conn, 3, copyOf('span:good'));
    await world.advance(1000);
    const evil = b!.openConn(MEDIA, 1, other);
    world.volconf(b!, evil, 3, copyOf('span:evil'));
    await world.advance(1000);
    a!.cutOff();
    await world.stopReplica(world.leader);
    await world.advance(1000);
    a!.cut = false;
    await world.advance(5000);
    expect(world.connections()).toEqual([`${OWNER_3} good:987`]);
  });

  it('is a separate media of each peer if its id is nil', async () => {
    world = await World.start();
    const nil = '00000000-0000-0000-0000-000000000000';
    const one = world.gateway.openConn(nil, 1, '192.0.2.1');
    const two = world.gateway.openConn(nil, 1, '192.0.2.2');
    world.volconf(world.gateway, one, 0, copyOf('span:a'));
    world.volconf(world.gateway, two, 0, copyOf('span:b'));
    await world.advance(100);
    expect(world.connections()).toEqual([`media ${nil}@192.0.2.1/slot 0 a:987`, `media ${nil}@192.0.2.2/slot 0 b:987`]);
    const { api } = world.leader;
    expect([...world.leader.term!.media.all(nil)].map(({ name }) => name)).toEqual([
      `${nil}@192.0.2.1/0`,
      `${nil}@192.0.2.2/0`,
    ]);
    expect(api.watches).toBe(0);
    world.gateway.closeConn(one);
    await world.advance(100);
    expect(world.connections()).toEqual([`media ${nil}@192.0.2.2/slot 0 b:987`]);
  });

  it('cannot change an operator’s target, whatever the slot’s label', async () => {
    world = await World.start();
    await world.targets.put('far', 'span:good');
    const conn = world.gateway.openConn(MEDIA, 1, other);
    world.volconf(world.gateway, conn, 0, copyOf('span:evil', { label: 'far' }));
    await world.advance(100);
    world.gateway.closeConn(conn);
    await world.advance(100);
    expect(world.connections()).toEqual(['far good:987']);
  });
});

describe('one peer with many slots', () => {
  const many = (peer: string, count: number) => {
    for (let at = 0; at < count; at += 256) {
      const conn = world.gateway.openConn(uuidOf(at), 1, peer);
      for (let i = 0; i < Math.min(256, count - at); i++) {
        world.volconf(world.gateway, conn, i, copyOf('span:silent'));
      }
    }
  };
  const uuidOf = (n: number) => `00000000-0000-0000-0000-${(n + 1).toString(16).padStart(12, '0')}`;

  it('gives slots up for others when all are taken, and does not delay peers without attempts under way', async () => {
    world = await World.start({ env: { SPANMESH_VOLCONF_MAX_SLOTS: '1000', SPANMESH_VOLCONF_MAX_DIALS: '32' } });
    world.hosts.set('silent', 'silent');
    many('198.51.100.7', 1024);
    await world.advance(500);
    const { term } = world.leader;
    expect([term!.media.slots, term!.reconciler.dialling]).toEqual([1000, 30]);
    const conn = world.gateway.openConn(MEDIA, 1, '192.0.2.1');
    world.volconf(world.gateway, conn, 3, copyOf('span:good'));
    await world.targets.put('far', 'span:good');
    await world.advance(100);
    expect(world.connections()).toEqual(['far good:987', `${OWNER_3} good:987`]);
    expect(term!.media.slots).toBe(1000);
  });
});

describe('slots of a media', () => {
  it('stop with the last LNK_CONN of the media, and not before', async () => {
    world = await World.start({ gateways: 2 });
    const [a, b] = world.gateways;
    const one = a!.openConn(MEDIA);
    const two = b!.openConn(MEDIA);
    world.volconf(a!, one, 3, copyOf('span:host'));
    await world.advance(100);
    a!.closeConn(one);
    await world.advance(100);
    expect(world.connections()).toEqual([`${OWNER_3} host:987`]);
    b!.closeConn(two);
    await world.advance(100);
    expect(world.connections()).toEqual([]);
    expect(world.leader.term!.reconciler.size).toBe(0);
  });

  it('have the copy of the latest LNK_VOLCONF, whichever LNK_CONN carried it', async () => {
    world = await World.start({ gateways: 2 });
    const [a, b] = world.gateways;
    const [one, two] = [a!.openConn(MEDIA), b!.openConn(MEDIA)];
    // The earlier LNK_VOLCONF is reported last, because gateway a cannot be reached for a while.
    a!.cutOff();
    a!.volconf(one, 3, copyOf('span:early'));
    await world.advance(100);
    b!.volconf(two, 3, copyOf('span:late'));
    await world.advance(100);
    a!.cut = false;
    await world.advance(5000);
    expect(world.leader.term!.fleet.allHeard).toBe(true);
    expect(world.connections()).toEqual([`${OWNER_3} late:987`]);
  });

  // Limits: volconf/src/limits.ts DEFAULT_MAX_SLOTS
  it('are reported and ignored when they are illegal, or too many', async () => {
    world = await World.start({ env: { SPANMESH_VOLCONF_MAX_SLOTS: '1' } });
    const conn = world.gateway.openConn(MEDIA);
    const unterminated = copyOf('span:host');
    unterminated[127] = 1;
    world.volconf(world.gateway, conn, 256, copyOf('span:host'));
    world.volconf(world.gateway, conn, 1, copyOf(''));
    world.volconf(world.gateway, conn, 2, unterminated);
    world.volconf(world.gateway, conn, 3, new Uint8Array(5));
    world.volconf(world.gateway, conn, 4, copyOf('span:host'));
    world.volconf(world.gateway, conn, 5, copyOf('span:host'));
    await world.advance(100);
    expect(world.connections()).toEqual([`media ${MEDIA}/slot 4 host:987`]);
    const faults = world.log.filter(({ msg }) => msg === 'LNK_VOLCONF ignored').map(({ fault }) => fault);
    expect(faults).toEqual(['index', 'empty-path', 'unterminated-path', 'copy', 'too-many']);
  });
});

describe('a target that fails', () => {
  const tries = () => world.gateway.log.filter((line) => line.startsWith('dial')).length;
  const target = () => world.leader.term!.reconciler.get(OWNER_3)!;
  const begin = async (env: Record<string, string> = {}) => {
    world = await World.start({ env });
    const conn = world.gateway.openConn(MEDIA);
    world.volconf(world.gateway, conn, 3, copyOf('span:host'));
  };

  it('is dialled again after 1, 2, 4 … 60 s, each shortened by up to a quarter', async () => {
    world = await World.start();
    world.hosts.set('host', 'refuses');
    const conn = world.gateway.openConn(MEDIA);
    world.volconf(world.gateway, conn, 3, copyOf('span:host'));
    await world.advance(100);
    for (const full of [1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => seconds * 1000)) {
      const { state } = target();
      if (state.kind !== 'waiting') throw new Error(state.kind);
      const pause = state.at - world.clock.now() + (world.clock.wall() - target().lastErrorAt);
      expect(pause).toBeGreaterThanOrEqual(full * 0.75 - 1);
      expect(pause).toBeLessThanOrEqual(full + 1);
      const before = tries();
      await world.advance(state.at - world.clock.now() + 50);
      expect(tries()).toBe(before + 1);
    }
    expect(target().attempts).toBe(9);
    expect(target().lastError).toBe('nobody answers there');
    world.hosts.set('host', 'up');
    await world.advance(60_000);
    expect(world.connections()).toEqual([`${OWNER_3} host:987`]);
    expect(target().attempts).toBe(0);
  });

  it('is given up after the time to connect', async () => {
    world = await World.start({ env: { SPANMESH_VOLCONF_CONNECT_TIMEOUT: '3s' } });
    world.hosts.set('host', 'silent');
    const conn = world.gateway.openConn(MEDIA);
    world.volconf(world.gateway, conn, 3, copyOf('span:host'));
    await world.advance(2900);
    expect(target().state.kind).toBe('dialling');
    await world.advance(150);
    expect(target().state.kind).toBe('waiting');
  });

  it('continues to double its pauses when it is lost within a minute, and begins anew after a minute', async () => {
    await begin();
    await world.advance(100);
    for (let i = 0; i < 4; i++) {
      world.gateway.drop(OWNER_3);
      await world.advance(20_000);
    }
    expect(target().failures).toBe(4);
    await world.advance(61_000);
    world.gateway.drop(OWNER_3);
    await world.advance(0);
    expect(target().failures).toBe(1);
    await world.advance(1100);
    expect(world.connections()).toEqual([`${OWNER_3} host:987`]);
  });

  it('moves when its gateway goes, and does not when a new one appears', async () => {
    world = await World.start({ gateways: 3 });
    const [first] = world.gateways;
    for (let i = 0; i < 30; i++) await world.targets.put(`t${i}`, 'span:host');
    await world.advance(500);
    expect(world.connections().length).toBe(30);
    const shares = world.gateways.map(({ connections }) => connections.length);
    for (const share of shares) expect(share).toBeGreaterThan(2);
    first!.restart();
    world.unregistered.add(first!);
    first!.cutOff();
    await world.advance(9000);
    expect(first!.connections).toEqual([]);
    expect(world.connections().length).toBe(30);
    world.unregistered.clear();
    first!.cut = false;
    const before = world.connections().toSorted();
    const kept = world.gateways.map(({ connections }) => connections.length);
    await world.advance(9000);
    expect(world.connections()).toEqual(before);
    expect(world.gateways.map(({ connections }) => connections.length)).toEqual(kept);
  });

  it.each([true, false])(
    'stays when its gateway is declared dead and continues under another boot id (its entry is gone meanwhile: %s)',
    async (gone) => {
      world = await World.start({ gateways: 2 });
      const conn = world.gateway.openConn(MEDIA, 2);
      for (let slot = 0; slot < 10; slot++) world.volconf(world.gateway, conn, slot, copyOf('span:host'));
      await world.advance(9000);
      const before = [...world.connections()];
      const orders = world.gateways.map(({ log }) => [...log]);
      expect(before).toHaveLength(10);
      const watched = world.gateway.watches;
      if (gone) {
        world.unregistered.add(world.gateway);
        await world.advance(9000);
        world.unregistered.clear();
      }
      world.gateway.reborn();
      await world.advance(9000);
      expect(world.connections()).toEqual(before);
      expect(world.gateways.map(({ log }) => log)).toEqual(orders);
      expect(world.gateway.watches).toBe(watched);
      // A later leader adopts the connections, too.
      await world.stopReplica(world.leader);
      await world.addReplica();
      await world.advance(9000);
      expect(world.connections()).toEqual(before);
      expect(world.gateways.map(({ log }) => log)).toEqual(orders);
    },
  );

  it.each([true, false])(
    'is dialled from another gateway at once when its gateway stops (the registry says so first: %s)',
    async (first) => {
      // The pause is longer than this test: only an immediate attempt can succeed.
      world = await World.start({ gateways: 3, env: { SPANMESH_VOLCONF_RETRY_FIRST: '60s' } });
      for (let i = 0; i < 30; i++) await world.targets.put(`t${i}`, 'span:host');
      await world.advance(500);
      const [going] = world.gateways;
      const owners = [...going!.owners.keys()];
      expect(owners.length).toBeGreaterThan(2);
      if (first) {
        world.draining.add(going!);
        await world.advance(1500);
      }
      for (const owner of owners) going!.drop(owner, 'stopping', true);
      await world.advance(1500);
      expect(going!.connections).toEqual([]);
      expect(world.connections().length).toBe(30);
    },
  );

  it('costs one timer together with all others that wait', async () => {
    world = await World.start({ env: { SPANMESH_VOLCONF_RETRY_FIRST: '60s' } });
    world.hosts.set('dead', 'refuses');
    const conn = world.gateway.openConn(MEDIA);
    for (let slot = 0; slot < 256; slot++) world.volconf(world.gateway, conn, slot, copyOf('span:dead'));
    const idle = world.clock.pending;
    await world.advance(500);
    expect(world.leader.term!.reconciler.timers).toBe(256);
    expect(world.clock.pending).toBeLessThanOrEqual(idle + 1);
  });

  // Limits: volconf/src/limits.ts DEFAULT_MAX_DIALS
  it('is dialled together with at most as many others as the setting allows', async () => {
    world = await World.start({ env: { SPANMESH_VOLCONF_MAX_DIALS: '10' } });
    world.gateway.dialMs = 1000;
    const conn = world.gateway.openConn(MEDIA);
    for (let slot = 0; slot < 25; slot++) world.volconf(world.gateway, conn, slot, copyOf('span:host'));
    await world.advance(100);
    expect(world.leader.term!.reconciler.dialling).toBe(10);
    await world.advance(3000);
    expect(world.connections().length).toBe(25);
  });
});

describe('the policy priority', () => {
  const up = () =>
    world
      .connections()
      .map((line) => line.split(' ').at(-1)!.replace(':987', ''))
      .toSorted();
  const begin = async (slots: [path: string, priority: number, cluster?: string][]) => {
    world = await World.start({ env: { SPANMESH_VOLCONF_POLICY: 'priority' } });
    const conn = world.gateway.openConn(MEDIA);
    for (const [i, [path, priority, cluster]] of slots.entries()) {
      world.volconf(world.gateway, conn, i, copyOf(path, { priority, ...(cluster !== undefined && { cluster }) }));
    }
    await world.advance(100);
  };

  it('keeps the best slot connected, and a worse one while the best is down', async () => {
    await begin([
      ['span:worse', 3],
      ['span:best', 15],
      ['span:mid', 7],
    ]);
    expect(up()).toEqual(['best']);
    expect([...world.leader.term!.media.all()].map(({ heldBack }) => heldBack)).toEqual([true, false, true]);
    world.hosts.set('best', 'refuses');
    world.gateway.drop(`media ${MEDIA}/slot 1`);
    await world.advance(100);
    expect(up()).toEqual(['mid']);
    world.hosts.set('mid', 'refuses');
    world.gateway.drop(`media ${MEDIA}/slot 2`);
    await world.advance(100);
    expect(up()).toEqual(['worse']);
    world.hosts.clear();
    await world.advance(60_000);
    expect(up()).toEqual(['best']);
  });

  it('lets equal slots with the round-robin flag share, and chooses the first of other equal ones', async () => {
    await begin([
      ['span:rr1', 0x85],
      ['span:rr2', 0x85],
      ['span:low', 0x84],
    ]);
    expect(up()).toEqual(['rr1', 'rr2']);
    await world.stop();
    await begin([
      ['span:a', 5],
      ['span:b', 5],
    ]);
    expect(up()).toEqual(['a']);
  });

  it('chooses slots whose media has errors last, and compares slots of one cluster only', async () => {
    await begin([
      ['span:errors', 0x4f],
      ['span:sound', 1],
      ['span:other', 0, '00000000-0000-0000-0000-000000000001'],
    ]);
    expect(up()).toEqual(['other', 'sound']);
  });
});

describe('replicas', () => {
  it('adopt established connections instead of dialling again', async () => {
    world = await World.start({ gateways: 2, replicas: 2 });
    const conn = world.gateway.openConn(MEDIA);
    for (let slot = 0; slot < 20; slot++) world.volconf(world.gateway, conn, slot, copyOf(`span:h${slot}`));
    await world.targets.put('op', 'span:far');
    await world.advance(500);
    expect(world.connections().length).toBe(21);
    const orders = world.gateways.flatMap(({ log }) => log).length;
    const [first] = world.replicas;
    expect(first!.term).not.toBeNull();
    await world.stopReplica(first!);
    await world.advance(10_000);
    expect(world.leader).not.toBe(first);
    expect(world.leader.totals().adopted).toBe(21);
    expect(world.gateways.flatMap(({ log }) => log).length).toBe(orders);
    expect(world.leader.term!.reconciler.get('op')!.state.kind).toBe('running');
  });

  it('dial what changed while there was no leader, and hang up unwanted connections', async () => {
    world = await World.start();
    const conn = world.gateway.openConn(MEDIA);
    for (const slot of [1, 2, 3]) world.volconf(world.gateway, conn, slot, copyOf(`span:h${slot}`));
    await world.targets.put('op', 'span:far');
    await world.advance(500);
    await world.stopReplica(world.leader);
    world.volconf(world.gateway, conn, 1, copyOf('span:new'));
    world.volconf(world.gateway, conn, 2, copyOf('span:h2', { copyId: 0 }));
    await world.targets.remove('op');
    await world.addReplica();
    await world.advance(1000);
    expect(world.connections()).toEqual([`media ${MEDIA}/slot 1 new:987`, `${OWNER_3} h3:987`]);
  });

  it('hang up what nobody wants once they can read what operators want, not before', async () => {
    world = await World.start();
    await world.targets.put('far', 'span:far');
    await world.advance(100);
    await world.stopReplica(world.leader);
    await world.targets.remove('far');
    world.targetsAway = true;
    await world.addReplica();
    await world.advance(20_000);
    expect([world.leader.term!.fleet.allHeard, world.connections()]).toEqual([true, ['far far:987']]);
    world.targetsAway = false;
    await world.advance(STORE_RETRY_MS + 100);
    expect(world.connections()).toEqual([]);
  });

  it('connect anew only when what stands elsewhere has been hung up', async () => {
    world = await World.start({ gateways: 2 });
    const [first, second] = world.gateways;
    const names = Array.from({ length: 10 }, (_, i) => `op${i}`);
    second!.cutOff();
    for (const name of names) await world.targets.put(name, 'span:old');
    await world.advance(2000);
    expect(first!.connections).toHaveLength(names.length);
    second!.cut = false;
    await world.advance(20_000);
    await world.stopReplica(world.leader);
    for (const name of names) await world.targets.put(name, 'span:new');
    // The old connections are hung up late; meanwhile the new leader would dial about half of the targets at the second
    // gateway.
    first!.fates = names.map(() => 'late');
    await world.addReplica();
    await world.advance(1000);
    expect(second!.connections).toEqual([]);
    await world.advance(20_000);
    expect(second!.connections).not.toEqual([]);
    expect(world.doubles).toEqual([]);
    expect(world.connections()).toEqual(names.map((name) => `${name} new:987`));
  });

  it.each([2 ** 32 - 1, 2 ** 60, Number.NaN])(
    'continue under their epoch when a gateway names an impossible one (%s)',
    async (heard) => {
      world = await World.start({ gateways: 2 });
      const [rogue, honest] = world.gateways;
      const conn = honest!.openConn(MEDIA);
      const stale = () => new OrderError('stale-epoch', 'stale', { epoch: heard });
      rogue!.refusal = stale;
      rogue!.cutOff();
      rogue!.cut = false;
      await world.advance(10_000);
      world.volconf(honest!, conn, 3, copyOf('span:host'));
      await world.advance(100);
      expect(world.leader.epoch).toBe(EPOCH);
      expect(world.connections()).toEqual([`${OWNER_3} host:987`]);
      expect(world.log.filter(({ msg }) => msg === 'a gateway speaks of an epoch that cannot be')).toHaveLength(1);
      rogue!.refusal = null;
    },
  );

  it('take an epoch above that of gateways that have heard of a higher one than the store', async () => {
    world = await World.start();
    world.gateway.epoch = EPOCH + 41;
    await world.targets.put('op', 'span:far');
    await world.addReplica();
    world.gateway.cutOff();
    world.gateway.cut = false;
    await world.advance(3000);
    expect(world.leader.epoch).toBe(EPOCH + 42);
    expect(world.connections()).toEqual(['op far:987']);
  });
});

describe('a replica', () => {
  it('is ready when it has heard the gateways, or another replica leads', async () => {
    world = await World.start({ replicas: 2 });
    const standby = [...world.replicas].find(({ term }) => term === null)!;
    await world.advance(1000);
    expect([world.leader.notReady(), standby.notReady()]).toEqual([null, null]);
    expect([world.leader.leads, standby.leads]).toEqual([true, false]);
    // A new leader waits five seconds for a gateway that it cannot reach.
    world.gateway.cutOff();
    await world.stopReplica(world.leader);
    expect(standby.notReady()).toBe('not all gateways have been heard yet');
    await world.advance(6000);
    expect(standby.notReady()).toBeNull();
    await world.stopReplica(standby);
    expect(standby.notReady()).not.toBeNull();
    world.gateway.cut = false;
  });

  it('counts over all its terms, and logs that it leads', async () => {
    world = await World.start();
    const { leader } = world;
    const conn = world.gateway.openConn(MEDIA);
    world.volconf(world.gateway, conn, 300, copyOf('span:host'));
    world.volconf(world.gateway, conn, 3, copyOf('span:host'));
    await world.advance(100);
    world.gateway.drop(OWNER_3);
    await world.advance(5000);
    world.hosts.set('bad', 'refuses');
    world.volconf(world.gateway, conn, 3, copyOf('span:bad'));
    await world.advance(100);
    const totals = leader.totals();
    expect(totals).toEqual({
      attemptsMade: 3,
      attemptsFailed: 1,
      connectionsLost: 1,
      adopted: 0,
      hangups: 1,
      slotsIgnored: 1,
    });
    await world.stopReplica(leader);
    expect([leader.totals(), leader.term]).toEqual([totals, null]);
    expect(world.log.filter(({ msg }) => msg === 'replica leads')).toMatchObject([{ epoch: EPOCH, role: 'volconf' }]);
  });

  it('whose lease does not hold orders nothing, and then at once what is due', async () => {
    world = await World.start();
    const { leader } = world;
    world.leases.get(leader)!.away = true;
    await world.advance(1900);
    expect(leader.leads).toBe(false);
    const conn = world.gateway.openConn(MEDIA);
    world.volconf(world.gateway, conn, 3, copyOf('span:host'));
    await world.targets.put('far', 'span:host');
    await world.advance(3000);
    expect(world.gateway.log).toEqual([]);
    world.leases.get(leader)!.away = false;
    await world.advance(2500);
    expect(leader.epoch).toBe(EPOCH);
    expect(world.connections()).toEqual(['far host:987', `${OWNER_3} host:987`]);
  });

  it('gives signs of life once a second, until it stops', async () => {
    world = await World.start();
    const signs: unknown[] = [];
    world.bus.subscribe(SIGNS_OF_LIFE, (_, data) => signs.push(JSON.parse(new TextDecoder().decode(data))));
    await world.advance(3000);
    expect(signs).toHaveLength(3);
    expect(signs[0]).toMatchObject({ kind: 'volconf', name: '127.0.0.1:1' });
    await world.stopReplica(world.leader);
    const { length } = signs;
    await world.advance(3000);
    expect(signs).toHaveLength(length);
  });

  it('names the gateways that take calls of users', async () => {
    world = await World.start({ gateways: 2 });
    const ids = () => world.leader.gatewaysToAsk().map(({ id }) => id);
    expect(ids()).toEqual(['gw0.b1', 'gw1.b1']);
    expect(world.leader.gatewaysToAsk()[0]).toEqual({ id: 'gw0.b1', name: 'gw0', address: '127.0.0.1:1' });
    world.draining.add(world.gateway);
    await world.advance(1500);
    expect(ids()).toEqual(['gw1.b1']);
  });

  it('that stops leaves no timers or watches', async () => {
    world = await World.start();
    await world.targets.put('far', 'span:host');
    await world.advance(100);
    await world.stopReplica(world.leader);
    // The log of events, which belongs to the process, checks once more whether all events were sent.
    await world.advance(60_000);
    expect([world.clock.pending, world.gateway.watches]).toEqual([0, 0]);
    const { length } = world.log;
    await world.targets.put('further', 'span:host');
    await world.advance(10_000);
    expect([world.log.length, world.connections()]).toEqual([length, ['far host:987']]);
  });
});

/** A call of the API without a server. */
function call<Answer>(method: unknown, request: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    (method as (call: object, callback: (error: Error | null, answer: Answer) => void) => void)(
      { request, metadata: new Metadata() },
      (error, answer) => (error === null ? resolve(answer) : reject(error)),
    );
  });
}

class FakeTargetStream extends EventEmitter {
  readonly sent: WatchTargetsResponse[] = [];
  readonly request = {};
  readonly metadata = new Metadata();
  accepts = true;
  ended = false;
  error: (Error & { code?: number }) | null = null;

  readonly #host: string;

  constructor(host = '192.0.2.1') {
    super();
    this.#host = host;
    this.on('error', (error) => {
      this.error = error;
    });
  }

  getPeer(): string {
    return `${this.#host}:4711`;
  }

  write(response: WatchTargetsResponse): boolean {
    this.sent.push(response);
    return this.accepts;
  }

  end(): void {
    this.ended = true;
  }

  /** The names in the messages sent, in order. */
  get names(): string[] {
    return this.sent.map(({ target, removed }) => target?.name ?? (removed === undefined ? 'current' : `-${removed}`));
  }
}

describe('the API', () => {
  const api = () => world.leader.api.implementation;
  const list = (request: object = {}) =>
    call<{ targets: ApiTarget[]; nextPageToken: string }>(api().listTargets, {
      pageSize: 0,
      pageToken: '',
      state: 0,
      mediaId: '',
      ...request,
    });
  const set = (name: string, path: string, dialect = 0) =>
    call<{ target: ApiTarget }>(api().setTarget, { name, path, dialect });

  it('sets, shows, keeps and removes operators’ targets', async () => {
    world = await World.start();
    const { target } = await set('far', 'span:host:1000', 1);
    expect(target).toMatchObject({
      name: 'far',
      path: 'span:host:1000',
      state: TargetState.TARGET_STATE_CONNECT,
      dialect: 1,
    });
    await world.advance(100);
    expect(await call(api().getTarget, { name: 'far' })).toMatchObject({
      target: {
        state: TargetState.TARGET_STATE_RUNNING,
        gateway: 'gw0.b1',
        connection: 'gw0.b1:1',
        remoteAddress: 'host:1000',
      },
    });
    await set('far', 'span:host:1000', 1);
    await world.advance(100);
    expect(world.gateway.log.length).toBe(1);
    await world.stopReplica(world.leader);
    await world.addReplica();
    await world.advance(100);
    expect((await list()).targets.map(({ name }) => name)).toEqual(['far']);
    await call(api().removeTarget, { name: 'far' });
    await world.advance(100);
    expect(world.connections()).toEqual([]);
    await expect(call(api().getTarget, { name: 'far' })).rejects.toMatchObject({ code: status.NOT_FOUND });
    await expect(call(api().removeTarget, { name: 'far' })).rejects.toMatchObject({ code: status.NOT_FOUND });
  });

  it.each([
    ['', 'span:a'],
    ['UPPER', 'span:a'],
    ['a..b', 'span:a'],
    ['-a', 'span:a'],
    ['a'.repeat(64), 'span:a'],
    ['a', 'a'],
    ['a', 'span:'],
    ['a', 'span:h:99999'],
    ['a', 'span:[::1'],
  ])('refuses the name %j with %j', async (name, path) => {
    world = await World.start();
    await expect(set(name, path)).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  it('shows a connection with the present id of its gateway', async () => {
    world = await World.start();
    await set('far', 'span:host:1000', 1);
    await world.advance(100);
    const stream = new FakeTargetStream();
    (api().watchTargets as (stream: unknown) => void)(stream);
    await settle();
    world.gateway.reborn();
    await world.advance(1500);
    expect(await call(api().getTarget, { name: 'far' })).toMatchObject({
      target: { state: TargetState.TARGET_STATE_RUNNING, gateway: 'gw0.b2', connection: 'gw0.b2:1', generation: 1 },
    });
    expect(stream.sent.at(-1)?.target).toMatchObject({ name: 'far', gateway: 'gw0.b2' });
  });

  it('lists slots first, by media and slot, in pages, filtered by state or media', async () => {
    world = await World.start();
    world.hosts.set('dead', 'refuses');
    for (const media of [MEDIA_2, MEDIA]) {
      const conn = world.gateway.openConn(media);
      world.volconf(world.gateway, conn, 10, copyOf('span:dead'));
      world.volconf(world.gateway, conn, 9, copyOf('span:host', { label: 'far', priority: 0x83 }));
    }
    await set('a', 'span:host');
    await world.advance(100);
    const all = [`${MEDIA}/9`, `${MEDIA}/10`, `${MEDIA_2}/9`, `${MEDIA_2}/10`, 'a'];
    expect((await list()).targets.map(({ name }) => name)).toEqual(all);
    const paged: string[] = [];
    let pageToken = '';
    do {
      const page = await list({ pageSize: 2, pageToken });
      paged.push(...page.targets.map(({ name }) => name));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(paged).toEqual(all);
    expect((await list({ mediaId: MEDIA_2 })).targets.map(({ name }) => name)).toEqual(all.slice(2, 4));
    const failing = await list({ state: TargetState.TARGET_STATE_CONNECT });
    expect(failing.targets.map(({ name }) => name)).toEqual([`${MEDIA}/10`, `${MEDIA_2}/10`]);
    expect(failing.targets[0]).toMatchObject({ attempts: 1, lastError: 'nobody answers there', path: 'span:dead' });
    expect(failing.targets[0]!.nextTry!.getTime()).toBeGreaterThan(world.clock.wall());
    expect((await list()).targets[0]!.slot).toMatchObject({ index: 9, priority: 0x83, label: 'far', pending: false });
    await expect(list({ pageToken: 'x' })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    await expect(list({ mediaId: 'x' })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  // Limits: volconf/src/limits.ts MAX_WATCHES_PER_USER
  it('gives a user a limited share of watches, and ends one of the user with most for a newcomer', async () => {
    world = await World.start();
    const watch = (host: string): FakeTargetStream => {
      const stream = new FakeTargetStream(host);
      (api().watchTargets as (stream: unknown) => void)(stream);
      return stream;
    };
    const greedy = Array.from({ length: MAX_WATCHES_PER_USER }, () => watch('192.0.2.1'));
    expect(greedy.every(({ error }) => error === null)).toBe(true);
    expect(watch('192.0.2.1').error?.code).toBe(status.RESOURCE_EXHAUSTED);
    for (let i = MAX_WATCHES_PER_USER; i < MAX_WATCHES - 1; i++) watch('192.0.2.2');
    expect(watch('192.0.2.3').error).toBeNull();
    expect(watch('192.0.2.4').error).toBeNull();
    expect(greedy.at(-1)?.error?.code).toBe(status.RESOURCE_EXHAUSTED);
    // The ended watch receives nothing more, and its place is free.
    const { sent } = greedy.at(-1)!;
    await settle();
    expect(sent).toEqual([]);
    greedy[0]?.emit('cancelled');
    expect(watch('192.0.2.3').error).toBeNull();
  });

  it('watches: all targets, `current`, then every change; a client that does not read gets the present states later', async () => {
    world = await World.start();
    await set('a', 'span:host');
    await set('b', 'span:host');
    await world.advance(100);
    const stream = new FakeTargetStream();
    (api().watchTargets as (stream: unknown) => void)(stream);
    // A change between the call and the first message.
    await set('c', 'span:host');
    await settle();
    expect(stream.names.slice(0, 3)).toEqual(['a', 'b', 'current']);
    await world.advance(100);
    expect(stream.sent.at(-1)!.target).toMatchObject({ name: 'c', state: TargetState.TARGET_STATE_RUNNING });
    stream.accepts = false;
    world.gateway.drop('a');
    await world.advance(0);
    const read = stream.sent.length;
    await world.advance(10_000);
    await call(api().removeTarget, { name: 'b' });
    await world.advance(100);
    expect(stream.sent.length).toBe(read);
    stream.accepts = true;
    stream.emit('drain');
    expect(stream.names.slice(read).toSorted()).toEqual(['-b', 'a']);
    await world.stopReplica(world.leader);
    expect(stream.ended).toBe(true);
  });

  it('names the leader when another replica is asked', async () => {
    world = await World.start({ replicas: 2 });
    const standby = [...world.replicas].find(({ term }) => term === null)!;
    const request = { pageSize: 0, pageToken: '', state: 0, mediaId: '' };
    await expect(call(standby.api.implementation.listTargets, request)).rejects.toMatchObject({
      code: status.UNAVAILABLE,
      details: 'This volconf replica does not lead: ask the one at 127.0.0.1:1.',
    });
    // Any replica accepts changes, which it writes to the store.
    await call(standby.api.implementation.setTarget, { name: 'x', path: 'span:host', dialect: 0 });
    await world.advance(100);
    expect(world.connections()).toEqual(['x host:987']);
  });

  it('publishes changes of targets on the bus', async () => {
    world = await World.start();
    const news: string[] = [];
    world.bus.subscribe(ALL_EVENTS, (subject, data) => {
      const { name, state } = JSON.parse(new TextDecoder().decode(data)) as { name: string; state: string };
      news.push(`${subject} ${name} ${state}`);
    });
    await set('a', 'span:host');
    await world.advance(100);
    await call(api().removeTarget, { name: 'a' });
    await world.advance(100);
    // The subject has the present id of the gateway.
    await set('b', 'span:host');
    await world.advance(100);
    world.gateway.reborn();
    await world.advance(1500);
    world.gateway.drop('b');
    await world.advance(5000);
    expect(news).toContain('events.target.gw0_b2 b running');
    await call(api().removeTarget, { name: 'b' });
    await world.advance(100);
    expect(news.splice(news.findIndex((one) => one.includes(' b '))).at(-1)).toBe('events.target.none b removed');
    expect(news[0]).toBe('events.target.none a connect');
    expect(news).toContain('events.target.gw0_b1 a running');
    expect(news.at(-1)).toBe('events.target.none a removed');
  });

  // Causes: event TARGET_CONNECTING, TARGET_FAILED, TARGET_UP
  it('and in the events: tried once, failing with a count, and connected', async () => {
    world = await World.start();
    world.hosts.set('host', 'refuses');
    const events: Event[] = [];
    world.bus.subscribe(EVENT_REPORTS, (_, data) => events.push(...decodeReport(data)));
    await set('a', 'span:host');
    await world.advance(10 * 60_000);
    const failed = events.filter(({ kind }) => kind === EventKind.EVENT_KIND_TARGET_FAILED);
    const tries = failed.reduce((sum, { count }) => sum + count, 0);
    expect(failed[0]).toMatchObject({
      subject: 'a',
      count: 1,
      target: { address: 'host:987', error: 'nobody answers there' },
    });
    expect(failed.length).toBeLessThanOrEqual(11);
    expect(tries).toBeGreaterThan(failed.length);
    world.hosts.delete('host');
    await world.advance(2 * 60_000);
    const notOfIt: readonly EventKind[] = [EventKind.EVENT_KIND_TARGET_FAILED, EventKind.EVENT_KIND_LEADER_CHANGED];
    const others = events.filter(({ kind }) => !notOfIt.includes(kind));
    expect(others.map(({ kind, subject, target }) => [kind, subject, target?.gateway])).toEqual([
      [EventKind.EVENT_KIND_TARGET_CONNECTING, 'a', 'gw0.b1'],
      [EventKind.EVENT_KIND_TARGET_UP, 'a', 'gw0.b1'],
    ]);
    const lines = world.log.filter(({ msg }) => msg === 'target cannot be connected');
    expect(lines).toHaveLength(events.filter(({ kind }) => kind === EventKind.EVENT_KIND_TARGET_FAILED).length);
  });
});
