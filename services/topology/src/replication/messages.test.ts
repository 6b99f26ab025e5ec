import type { TreeChange } from '@spanmesh/proto/v1/replication';
import { describe, expect, it } from 'vitest';
import { inMessages } from './messages.ts';

/** Estimated bytes at which a message is full. */
const FULL = 384 * 1024;
const change = (fields: object): TreeChange => ({ gateway: 1, ...fields }) as unknown as TreeChange;
const set = (count: number) => ({ linkGateway: '', link: 1, lnkConns: Array.from({ length: count }, (_, i) => i) });
const sizes = (changes: TreeChange[]) => [...inMessages(changes)].map(({ length }) => length);

/** How many changes like this one go into one message. */
function perMessage(one: TreeChange): number {
  const [first = 0] = sizes(Array.from({ length: 20_000 }, () => one));
  return first;
}

describe('changes for standbys', () => {
  it('no changes make no message, a few make one, in order', () => {
    expect(sizes([])).toEqual([]);
    const few = [change({ linkClosed: 1 }), change({ linkClosed: 2 })];
    expect([...inMessages(few)]).toEqual([few]);
  });

  it.each([
    ['a link', { linkOpened: { payload: Buffer.alloc(1000) } }, 64 + 1000],
    ['a LNK_CONN', { lnkConnOpened: { payload: Buffer.alloc(500) } }, 64 + 500],
    ['what a gateway cannot reach', { trunks: { unreachable: Array(10).fill('x') } }, 64 + 760],
    ['a connection', { connectionOpened: {} }, 64 + 768],
    ['a gateway', { gatewayPut: {} }, 64 + 768],
    ['a cluster that is held', { clusterHeld: {} }, 64 + 768],
    ['a cluster that is held no more', { clusterReleased: {} }, 64 + 768],
    ['relays', { relaysAdopted: set(100) }, 128 + 800],
    ['refusals', { refusalsAdopted: set(100) }, 128 + 800],
    ['relays that are refused', { relaysRefused: set(100) }, 128 + 800],
    ['relays on demand', { onDemandOpened: set(100) }, 128 + 800],
    ['their end', { onDemandClosed: set(100) }, 128 + 800],
    ['anything else', { linkClosed: 1 }, 128],
  ])('fill a message by their estimated size: %s', (_, fields, bytes) => {
    expect(perMessage(change(fields))).toBe(Math.ceil(FULL / bytes));
  });

  it('go into one message until it is full; the rest is in the next one', () => {
    const count = Math.ceil(FULL / 128);
    expect(sizes(Array.from({ length: count }, () => change({ linkClosed: 1 })))).toEqual([count]);
    expect(sizes(Array.from({ length: count + 1 }, () => change({ linkClosed: 1 })))).toEqual([count, 1]);
    expect(sizes(Array.from({ length: 2 * count }, () => change({ linkClosed: 1 })))).toEqual([count, count]);
  });

  it('with too many numbers are divided into changes with the same meaning', () => {
    const large = set(2 * 65_536 + 1);
    const parts = [...inMessages([change({ relaysAdopted: large })])].flat();
    expect(parts.map(({ relaysAdopted }) => relaysAdopted?.lnkConns.length)).toEqual([65_536, 65_536, 1]);
    expect(parts.flatMap(({ relaysAdopted }) => relaysAdopted?.lnkConns ?? [])).toEqual(large.lnkConns);
    expect(parts.every(({ gateway, relaysAdopted }) => gateway === 1 && relaysAdopted?.link === 1)).toBe(true);
    expect([...inMessages([change({ relaysAdopted: set(65_536) })])].flat()).toHaveLength(1);
  });
});
