import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StateChange } from '../gen/spanmesh/v1/gateway_control.ts';
import { append, appendSnapshot, bytesOf, LIST_NAMES, StateChangeParts } from './state-change.ts';

/** Numbers up to 2^53. */
const id = fc.maxSafeInteger().map(Math.abs);
const gateway = fc.integer({ min: 0, max: 0xffff }).map((n) => `${'g'.repeat(63)}.${n.toString(16).padStart(8, '0')}`);
const set = fc.record({ linkGateway: gateway, link: id, lnkConns: fc.array(id) });
const text = (max: number) => fc.string({ maxLength: max, unit: 'binary' });
const cluster = fc.record({ dialect: fc.constant(1), id: fc.uuid(), peerType: fc.nat(63), peerLabel: text(60) });
const payload = fc.nat(500).map((size) => Buffer.alloc(size));
const u32 = fc.nat(2 ** 32 - 1);
const change = fc
  .record({
    connectionsOpened: fc.array(
      fc.record({
        id,
        dialect: fc.constant(2),
        remoteAddress: fc.constant('[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%lo0123456789abcdef]:65535'),
        localAddress: fc.constant('[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%lo0123456789abcdef]:65535'),
        origin: fc.constant(2),
        owner: text(256),
        generation: u32,
        sinceUs: id,
        suspect: fc.boolean(),
        closing: text(256),
      }),
      { maxLength: 3 },
    ),
    lnkConnsOpened: fc.array(fc.record({ id, connection: id, payload })),
    linksOpened: fc.array(
      fc.record({ id, connection: id, payload, stamp: id, msgidLo: u32, msgidHi: u32, sinceUs: id }),
    ),
    connectionsClosed: fc.array(id),
    lnkConnsClosed: fc.array(id),
    linksClosed: fc.array(id),
    connectionsAlive: fc.array(id),
    connectionsClosing: fc.array(fc.record({ id, reason: text(256) }), { maxLength: 3 }),
    relaysOpen: fc.array(set, { maxLength: 3 }),
    onDemandOpened: fc.array(set, { maxLength: 3 }),
    onDemandClosed: fc.array(set, { maxLength: 3 }),
    refusals: fc.array(fc.record({ lnkConn: id, linkGateway: gateway, link: id, n: id })),
    linkStatuses: fc.array(fc.record({ link: id, status: u32 })),
    linksKnown: fc.array(fc.record({ gateway, link: id })),
    clustersHeld: fc.array(cluster),
    clustersReleased: fc.array(cluster),
    drains: fc.array(
      fc.record({ order: fc.constant('o'.repeat(64)), chosen: u32, closed: u32, cut: u32, done: fc.boolean() }),
    ),
    trunks: fc.option(fc.record({ established: fc.array(gateway), unreachable: fc.array(gateway) }), {
      nil: undefined,
    }),
    stopping: fc.boolean(),
  })
  .map((partial) => StateChange.fromPartial(partial));

function merged(changes: Iterable<StateChange>): StateChange {
  const all = StateChange.create();
  for (const one of changes) append(all, one);
  return all;
}

function parts(changes: Iterable<StateChange>, maxBytes: number): StateChange[] {
  const made = new StateChangeParts(maxBytes);
  for (const one of changes) made.putAll(one);
  return made.all;
}

/** The name of the list in which a part has entries. */
function nameOf(part: StateChange): string | undefined {
  return LIST_NAMES.find((name) => part[name].length > 0);
}

describe('changes in parts', () => {
  it('hold the same changes, none larger than the given size', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 3 }), fc.integer({ min: 5000, max: 20_000 }), (changes, maxBytes) => {
        const made = parts(changes, maxBytes);
        const whole = merged(changes);
        expect(merged(made)).toEqual(whole);
        for (const part of made) expect(StateChange.encode(part).finish().length).toBeLessThanOrEqual(maxBytes);
      }),
    );
  });

  it('tell openings before what is opened on them, and closings last', () => {
    const all = StateChange.fromPartial({
      connectionsOpened: [{ id: 1 }],
      linksOpened: [{ id: 2, connection: 1, payload: Buffer.alloc(384) }],
      linksKnown: [{ gateway: 'a.00000001', link: 2 }],
      refusals: [{ lnkConn: 3, linkGateway: 'a.00000001', link: 2, n: 1 }],
      linksClosed: [2],
      connectionsClosed: [1],
    });
    expect(parts([all], 1).map(nameOf)).toEqual([
      'connectionsOpened',
      'linksOpened',
      'linksKnown',
      'refusals',
      'linksClosed',
      'connectionsClosed',
    ]);
  });

  it('divide even one link that is relayed to very many', () => {
    const lnkConns = Array.from({ length: 200_000 }, (_, i) => i + 1);
    const all = StateChange.fromPartial({ relaysOpen: [{ link: 1, lnkConns }] });
    const made = parts([all], 900_000);
    expect(made.length).toBeGreaterThan(1);
    expect(made.flatMap(({ relaysOpen }) => relaysOpen).flatMap((one) => one.lnkConns)).toEqual(lnkConns);
  });

  it('are none for an empty change', () => {
    expect(parts([StateChange.create()], 100)).toEqual([]);
  });

  it('leave fields that are told last to the sender', () => {
    expect(parts([StateChange.fromPartial({ obeyed: 3, lastNumber: 7, stopping: true })], 100)).toEqual([
      StateChange.fromPartial({ stopping: true }),
    ]);
  });
});

describe('a snapshot', () => {
  it('is the sum of its parts: trunks are told whole, and numbers rise', () => {
    const all = StateChange.create();
    const trunks = { established: ['a.00000001'], unreachable: [] };
    for (const part of [
      { linksOpened: [{ id: 2 }], trunks: { established: [], unreachable: ['a.00000001'] }, lastNumber: 9 },
      { linksOpened: [{ id: 3 }], trunks, stopping: true },
      { obeyed: 4, lastNumber: 11 },
    ]) {
      appendSnapshot(all, StateChange.fromPartial(part));
    }
    expect(all.linksOpened.map(({ id: number }) => number)).toEqual([2, 3]);
    expect(all).toMatchObject({ trunks, stopping: true, lastNumber: 11, obeyed: 4 });
  });

  it('counts every relay, and tells nothing closed', () => {
    const all = StateChange.create();
    const part = StateChange.fromPartial({
      relaysOpen: [{ link: 1, lnkConns: [1, 2, 3] }],
      refusals: [{ link: 1, lnkConn: 4 }],
      linksClosed: [5],
    });
    expect(appendSnapshot(all, part)).toBe(5);
    expect(all.linksClosed).toEqual([]);
  });
});

it('never underestimates the size of an entry', () => {
  fc.assert(
    fc.property(change, (one) => {
      for (const name of LIST_NAMES) {
        for (const entry of one[name]) {
          const alone = StateChange.create();
          (alone[name] as unknown[]).push(entry);
          expect(StateChange.encode(alone).finish().length).toBeLessThanOrEqual(bytesOf(name, entry as never));
        }
      }
    }),
  );
});
