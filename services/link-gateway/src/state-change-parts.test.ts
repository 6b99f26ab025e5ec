import { StateChange } from '@spanmesh/proto/v1/gateway_control';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inParts, sizeOf } from './state-change-parts.ts';

const id = fc.integer({ min: 1, max: 1_000_000 });
const set = fc.record({ linkGateway: fc.constant(''), link: id, lnkConns: fc.array(id) });
const change = fc
  .record({
    linksOpened: fc.array(fc.record({ id, connection: id, payload: fc.nat(500).map((size) => Buffer.alloc(size)) })),
    connectionsClosed: fc.array(id),
    linksClosed: fc.array(id),
    connectionsAlive: fc.array(id),
    relaysOpen: fc.array(set),
    onDemandOpened: fc.array(set),
    refusals: fc.array(fc.record({ lnkConn: id, link: id, n: id })),
    linkStatuses: fc.array(fc.record({ link: id, status: id })),
    volconfs: fc.array(fc.record({ lnkConn: id, index: id, copy: fc.constant(Buffer.alloc(128)) })),
  })
  .map((partial) => StateChange.fromPartial(partial));

function merged(changes: Iterable<StateChange>): StateChange {
  const all = StateChange.create();
  for (const one of changes) {
    for (const key of Object.keys(all) as (keyof StateChange)[]) {
      const list = all[key];
      if (Array.isArray(list)) (list as unknown[]).push(...(one[key] as unknown[]));
    }
  }
  return all;
}

describe('changes in parts', () => {
  it('are the same changes, none too large', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 5 }), fc.integer({ min: 2000, max: 20_000 }), (changes, maxBytes) => {
        const parts = [...inParts(changes, maxBytes)];
        expect(merged(parts)).toEqual(merged(changes));
        for (const part of parts) expect(StateChange.encode(part).finish().length).toBeLessThanOrEqual(maxBytes);
      }),
    );
  });

  it('say what was opened before what is on it, and what was closed last', () => {
    const all = StateChange.fromPartial({
      connectionsOpened: [{ id: 1 }],
      linksOpened: [{ id: 2, connection: 1, payload: Buffer.alloc(384) }],
      linksClosed: [2],
      connectionsClosed: [1],
    });
    const parts = [...inParts([all], 1)];
    expect(
      parts.map((part) => Object.entries(part).find(([, list]) => Array.isArray(list) && list.length > 0)?.[0]),
    ).toEqual(['connectionsOpened', 'linksOpened', 'linksClosed', 'connectionsClosed']);
  });

  it('divide even one link that is relayed to very many', () => {
    const lnkConns = Array.from({ length: 200_000 }, (_, i) => i + 1);
    const all = StateChange.fromPartial({ relaysOpen: [{ link: 1, lnkConns }] });
    const parts = [...inParts([all], 900_000)];
    expect(parts.length).toBeGreaterThan(1);
    expect(parts.flatMap(({ relaysOpen }) => relaysOpen).flatMap((one) => one.lnkConns)).toEqual(lnkConns);
  });

  it('of nothing are none', () => {
    expect([...inParts([StateChange.create()], 100)]).toEqual([]);
    expect(sizeOf(StateChange.create())).toBe(0);
  });
});
