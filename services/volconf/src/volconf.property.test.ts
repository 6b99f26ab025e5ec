import { leftIn } from '@spanmesh/runtime/table-sizes';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KEPT } from './term.ts';
import type { Fate, Host } from './testing/fake-gateway.fixture.ts';
import { copyOf, MEDIA, MEDIA_2, World } from './testing/world.fixture.ts';

/** One event of a history. */
type Event =
  | { readonly kind: 'volconf'; readonly gateway: number; readonly slot: number; readonly path: string }
  | {
      readonly kind: 'open' | 'close' | 'drop' | 'restart' | 'reborn' | 'cut' | 'heal' | 'isolate';
      readonly gateway: number;
    }
  | { readonly kind: 'host'; readonly host: string; readonly does: Host }
  | { readonly kind: 'fates'; readonly gateway: number; readonly fates: Fate[] }
  | { readonly kind: 'leader' | 'depose' }
  | { readonly kind: 'set'; readonly name: string; readonly path: string }
  | { readonly kind: 'wait'; readonly ms: number };

const GATEWAYS = 3;
const gateway = fc.nat(GATEWAYS - 1);
const path = fc.constantFrom('span:a', 'span:b:1000', 'span:c', 'none', '');

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('volconf' as const), gateway, slot: fc.nat(2), path }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'open',
        'open',
        'close',
        'drop',
        'restart',
        'reborn',
        'cut',
        'cut',
        'heal',
        'heal',
        'isolate',
      ),
      gateway,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('host' as const),
      host: fc.constantFrom('a', 'b', 'c'),
      does: fc.constantFrom<Host[]>('up', 'refuses', 'silent'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('fates' as const),
      gateway,
      fates: fc.array(fc.constantFrom<Fate[]>('ok', 'unheard', 'unsaid', 'late'), { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('leader' as const, 'depose' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('set' as const), name: fc.constantFrom('one', 'two'), path }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(0, 7, 300, 2000, 9000) }),
  },
);

/** The destination of each path. */
const PATHS: Record<string, string> = { 'span:a': 'a:987', 'span:b:1000': 'b:1000', 'span:c': 'c:987' };

const MEDIA_OF = [MEDIA, MEDIA_2, MEDIA];

/** Plays events, and computes from them alone which connections are wanted. */
class Player {
  readonly world: World;
  /** Open LNK_CONNs by gateway. */
  readonly conns: number[][] = [[], [], []];
  readonly operators = new Map<string, string>();

  constructor(world: World) {
    this.world = world;
  }

  async play(event: Event): Promise<void> {
    const { world } = this;
    switch (event.kind) {
      case 'wait':
        await world.advance(event.ms);
        world.excuseNoMore();
        return;
      case 'host':
        world.hosts.set(event.host, event.does);
        return;
      case 'leader':
      case 'depose': {
        // The leader stops in order; or it loses the store, and is frozen until another replica has taken over.
        const [first] = world.replicas;
        if (event.kind === 'leader') await world.stopReplica(first!);
        else {
          world.excuseCut();
          world.leases.get(first!)!.away = true;
        }
        if (world.replicas.size < 3) await world.addReplica();
        return;
      }
      case 'set':
        await this.#set(event.name, event.path);
        return;
      case 'fates':
        world.gateways[event.gateway]!.fates = [...event.fates];
        return;
      default:
        this.#atGateway(event);
    }
  }

  /** Repairs everything, and lets enough time pass. */
  async heal(): Promise<void> {
    const { world } = this;
    world.hosts.clear();
    for (const one of world.gateways) {
      one.fates = [];
      one.cut = false;
    }
    world.unregistered.clear();
    for (const lease of world.leases.values()) lease.away = false;
    await world.advance(200_000);
  }

  /** Removes all LNK_CONNs and targets, and lets enough time pass. */
  async leave(): Promise<void> {
    for (const one of this.world.gateways) for (const lnkConn of [...one.lnkConns.keys()]) one.closeConn(lnkConn);
    for (const name of [...this.operators.keys()]) await this.#set(name, '');
    await this.world.advance(10_000);
  }

  /** The connections that are wanted, as `owner host:port`. */
  wanted(): string[] {
    const wanted: string[] = [];
    for (const { owner, destination } of this.world.leader.term!.media.all()) {
      if (destination !== null) wanted.push(`${owner} ${destination.host}:${destination.port}`);
    }
    for (const [name, path] of this.operators) wanted.push(`${name} ${PATHS[path]}`);
    return wanted.toSorted();
  }

  /** Checks that the leader knows exactly the open media, each slot with its latest copy. */
  checkMedia(): void {
    const { media } = this.world.leader.term!;
    const open = new Set<string>();
    for (const { lnkConns } of this.world.gateways) {
      for (const { conn, slots } of lnkConns.values()) {
        open.add(conn.mediaId);
        for (const { index, receivedUs } of slots.values()) {
          // These gateways' clocks show our time; two LNK_VOLCONFs in the same microsecond count as simultaneous.
          expect(media.slot(conn.mediaId, index)!.told.at * 1000 + 1).toBeGreaterThanOrEqual(receivedUs);
        }
      }
    }
    for (const { mediaId } of media.all()) expect(open).toContain(mediaId);
  }

  async #set(name: string, path: string): Promise<void> {
    const { targets } = this.world;
    if (path.startsWith('span:')) {
      this.operators.set(name, path);
      await targets.put(name, path);
    } else {
      this.operators.delete(name);
      await targets.remove(name);
    }
  }

  #atGateway(event: Extract<Event, { gateway: number }>): void {
    const { world } = this;
    const at = world.gateways[event.gateway]!;
    const conns = this.conns[event.gateway]!;
    switch (event.kind) {
      case 'open':
        conns.push(at.openConn(MEDIA_OF[event.gateway]!));
        break;
      case 'close':
        if (conns.length > 0) at.closeConn(conns.shift()!);
        break;
      case 'volconf':
        if (conns.length === 0) conns.push(at.openConn(MEDIA_OF[event.gateway]!));
        if (event.path !== '') {
          const copyId = event.path === 'none' ? 0 : 1;
          world.volconf(at, conns[0]!, event.slot, copyOf(event.path, { copyId }));
        }
        break;
      case 'drop':
        for (const owner of at.owners.keys()) at.drop(owner);
        break;
      case 'restart':
        conns.length = 0;
        at.restart();
        break;
      case 'reborn':
        at.reborn();
        break;
      case 'cut':
        at.cutOff();
        // A new leader that has not heard this gateway does not know its connections.
        if (!world.allHeard) world.excuse(at);
        break;
      case 'heal':
        at.cut = false;
        world.unregistered.delete(at);
        break;
      case 'isolate':
        // The gateway is cut off from the store, too: it counts as gone, and its connections cannot be known.
        at.cutOff();
        world.excuse(at);
        world.unregistered.add(at);
        break;
      default:
        break;
    }
  }
}

describe('a random history', () => {
  it('never gives an owner two connections, and in the end exactly the wanted connections are established', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 80, size: 'max' }), async (events) => {
        const world = await World.start({
          gateways: GATEWAYS,
          env: { SPANMESH_VOLCONF_RETRY_MAX: '20s', SPANMESH_VOLCONF_LEASE_TTL: '2s' },
        });
        const player = new Player(world);
        try {
          for (const one of events) {
            await player.play(one);
            expect(world.doubles).toEqual([]);
          }
          await player.heal();
          expect(world.doubles).toEqual([]);
          player.checkMedia();
          expect(world.connections()).toEqual(player.wanted());
          // Once everything is connected, no attempt or timer is left.
          expect(world.leader.term!.reconciler.dialling).toBe(0);
          expect(world.leader.term!.reconciler.timers).toBe(0);
          await player.leave();
          expect(leftIn(world.leader.term!.tables(), KEPT)).toEqual([]);
        } finally {
          await world.stop();
        }
      }),
      { numRuns: Number(process.env.FC_RUNS ?? 150) },
    );
  });
});
