import { decodeVolconfCopy } from '@spanmesh/dmsg/payload/lnk-volconf';
import { describe, expect, it } from 'vitest';
import { Target } from '../reconciler/target.ts';
import { copyOf, MEDIA } from '../testing/world.fixture.ts';
import { Slot } from './slot.ts';

const decoded = (...args: Parameters<typeof copyOf>) => decodeVolconfCopy(copyOf(...args), 0);

function slot(path = 'span:host', fields: Parameters<typeof copyOf>[1] = {}): Slot {
  const told = { gateway: 'gw.1', stamp: 1000, at: 5 };
  const id = { mediaId: MEDIA, key: MEDIA, principal: '192.0.2.1', index: 7 };
  return new Slot(id, decoded(path, fields), 'linkid', told);
}

describe('a slot', () => {
  it('is named by its media and its index, and by the label of the volume if it has one', () => {
    const one = slot();
    expect([one.name, one.owner, one.label]).toEqual([`${MEDIA}/7`, `media ${MEDIA}/slot 7`, `media ${MEDIA}/slot 7`]);
    expect(one).toMatchObject({ mediaId: MEDIA, principal: '192.0.2.1', index: 7, heldBack: false, target: null });
    expect(slot('span:host', { label: 'far' }).label).toBe(`media ${MEDIA}/slot 7 (far)`);
  });

  it('shows the latest copy, and runs it once no connection of the one before is left', () => {
    const one = slot('span:a');
    expect([one.copy.path, one.running, one.pending?.path]).toEqual(['span:a', null, 'span:a']);
    one.settle();
    expect([one.running?.path, one.pending]).toEqual(['span:a', null]);
    one.settle();
    expect(one.running?.path).toBe('span:a');
    one.change(decoded('span:b'), 'circuit');
    expect([one.copy.path, one.running?.path, one.dialect]).toEqual(['span:b', 'span:a', 'circuit']);
    one.settle();
    expect([one.copy.path, one.running?.path]).toEqual(['span:b', 'span:b']);
  });

  it('begins anew after it has rested', () => {
    const one = slot('span:a');
    one.settle();
    one.target = new Target('owner', '', 0);
    one.heldBack = true;
    one.rest();
    expect([one.pending?.path, one.running, one.target, one.heldBack]).toEqual(['span:a', null, null, false]);
  });

  it('is the same if all bytes and the dialect are equal', () => {
    const one = slot('span:a');
    expect(one.isSame(copyOf('span:a'), 'linkid')).toBe(true);
    expect(one.isSame(copyOf('span:a'), 'circuit')).toBe(false);
    expect(one.isSame(copyOf('span:b'), 'linkid')).toBe(false);
  });

  it('is older than a later LNK_VOLCONF: by the stamps of one gateway, by our clock for two gateways', () => {
    const one = slot();
    expect(one.isOlderThan({ gateway: 'gw.1', stamp: 1001, at: 0 })).toBe(true);
    expect(one.isOlderThan({ gateway: 'gw.1', stamp: 1000, at: 9 })).toBe(false);
    expect(one.isOlderThan({ gateway: 'gw.2', stamp: 0, at: 6 })).toBe(true);
    expect(one.isOlderThan({ gateway: 'gw.2', stamp: 2000, at: 5 })).toBe(false);
  });

  it('wants the destination of its path, in the dialect of its LNK_CONN', () => {
    const one = slot('span:host:1000');
    one.interpret(987);
    expect(one.destination).toEqual({ host: 'host', port: 1000, dialect: 'linkid' });
    const other = slot();
    other.interpret(1234);
    expect([other.destination?.port, other.problem]).toEqual([1234, '']);
  });

  it('wants nothing with copyid 0 or another kind of path, and has a problem if its path names no host', () => {
    const one = slot();
    one.interpret(987);
    for (const [path, copyId, problem] of [
      ['span:host', 0, ''],
      ['file:host', 1, ''],
      ['span:', 1, 'the path names neither a host nor an address'],
    ] as const) {
      one.change(decoded(path, { copyId }), 'linkid');
      one.interpret(987);
      expect([path, one.destination, one.problem]).toEqual([path, null, problem]);
    }
    one.change(decoded('span:host'), 'linkid');
    one.interpret(987);
    expect([one.destination?.host, one.problem]).toEqual(['host', '']);
  });

  it('ranks by the low bits of its priority, above every slot whose media has errors', () => {
    const rank = (priority: number) => slot('span:host', { priority }).rank;
    expect(rank(0x3f)).toBe(rank(0x0f));
    expect(rank(0x02)).toBeGreaterThan(rank(0x01));
    expect(rank(0x00)).toBeGreaterThan(rank(0x4f));
    expect(rank(0x01)).toBeGreaterThan(rank(0x4f));
    expect(rank(0x4f)).toBeGreaterThan(rank(0x40));
    expect(rank(0x8f)).toBe(rank(0x0f));
    expect([slot('span:host', { priority: 0x80 }).roundRobin, slot().roundRobin]).toEqual([true, false]);
  });
});
