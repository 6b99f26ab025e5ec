import { describe, expect, it } from 'vitest';
import { type LnkConnFilter, NIL_UUID, PEER_CLIENT, PEER_HAMMER2 } from '../span.ts';
import { FilterClass, filterClassKey, type RankedLink } from './filter-class.ts';
import { Reachability } from './reachability.ts';

const CLUSTER = 'c1000001-0a0b-11e4-8a21-01a2b3c4d5e6';
const OTHER = 'c1000002-0a0b-11e4-8a21-01a2b3c4d5e6';
const ALL = 0xffffffff;
const MAX_DIST = 16;

function filter(more: Partial<LnkConnFilter> = {}): LnkConnFilter {
  return { dialect: 'circuit', peerMaskLo: ALL, peerMaskHi: ALL, peerType: 1, clusterId: NIL_UUID, ...more };
}

function link({ dist = 0, peerType = 1, clusterId = CLUSTER, gateway = 'g' } = {}): RankedLink {
  return { connection: { gateway }, dist, span: { peerType, clusterId } };
}

function classOf(more: Partial<LnkConnFilter> = {}, reachability = new Reachability()): FilterClass<never> {
  return new FilterClass('g', filter(more), { maxDist: MAX_DIST, reachability });
}

describe('LNK_CONNs with the same filter', () => {
  it('take the peer types whose bits their peer_mask has, and no others', () => {
    for (let bit = 0; bit < 64; bit++) {
      const half = 2 ** (bit % 32);
      const one = classOf(bit < 32 ? { peerMaskLo: half, peerMaskHi: 0 } : { peerMaskLo: 0, peerMaskHi: half });
      const taken = Array.from({ length: 64 }, (_, peerType) => one.stopAt(link({ peerType })) === undefined);
      expect(taken.flatMap((is, peerType) => (is ? [peerType] : []))).toEqual([bit]);
    }
  });

  it('take links up to a dist', () => {
    expect(classOf().stopAt(link({ dist: MAX_DIST }))).toBeUndefined();
    expect(classOf().stopAt(link({ dist: MAX_DIST + 1 }))).toBe('too-far');
  });

  it.each([
    ['linkid', PEER_HAMMER2, PEER_HAMMER2, CLUSTER, CLUSTER, undefined],
    ['linkid', PEER_HAMMER2, PEER_HAMMER2, CLUSTER, OTHER, 'other-cluster'],
    ['linkid', PEER_HAMMER2, PEER_HAMMER2, CLUSTER, NIL_UUID, undefined],
    ['linkid', PEER_HAMMER2, PEER_HAMMER2, NIL_UUID, OTHER, 'other-cluster'],
    ['linkid', 1, PEER_HAMMER2, CLUSTER, OTHER, undefined],
    ['linkid', PEER_HAMMER2, 1, CLUSTER, OTHER, undefined],
    ['linkid', PEER_CLIENT, PEER_CLIENT, CLUSTER, OTHER, undefined],
    ['circuit', PEER_CLIENT, 1, CLUSTER, CLUSTER, undefined],
    ['circuit', PEER_CLIENT, 1, CLUSTER, OTHER, 'other-cluster'],
    ['circuit', PEER_CLIENT, 1, NIL_UUID, OTHER, undefined],
    ['circuit', PEER_CLIENT, PEER_CLIENT, CLUSTER, CLUSTER, 'both-clients'],
    ['circuit', 1, PEER_CLIENT, CLUSTER, OTHER, undefined],
    ['circuit', PEER_HAMMER2, PEER_HAMMER2, CLUSTER, OTHER, undefined],
  ] as const)(
    '%s: one of type %i meets a link of type %i: %s, %s: %s',
    (dialect, own, peerType, asks, clusterId, why) => {
      expect(classOf({ dialect, peerType: own, clusterId: asks }).stopAt(link({ peerType, clusterId }))).toBe(why);
    },
  );

  it('skip the links of gateways that theirs cannot reach', () => {
    const reachability = new Reachability();
    reachability.set('g', new Set(['far']));
    const one = classOf({}, reachability);
    expect([one.skips(link({ gateway: 'far' })), one.skips(link({ gateway: 'near' }))]).toEqual([true, false]);
    reachability.set('g', new Set());
    expect(one.skips(link({ gateway: 'far' }))).toBe(false);
  });

  it('are in one class only if their whole filter and their gateway are the same', () => {
    const others: Partial<LnkConnFilter>[] = [
      {},
      { peerMaskLo: 1 },
      { peerMaskHi: 1 },
      { peerType: 2 },
      { clusterId: OTHER },
    ];
    const keys = [...others.map((more) => filterClassKey('g', filter(more))), filterClassKey('h', filter())];
    expect(new Set(keys).size).toBe(6);
    expect(filterClassKey('g', filter({ peerMaskLo: -1 }))).toBe(keys[0]);
  });
});
