import { Dialect } from '@spanmesh/proto/v1/types';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { SLOTS_PER_MEDIA } from '../limits.ts';
import { copyOf, MEDIA, MEDIA_2 } from '../testing/world.fixture.ts';
import { MediaTable } from './media.ts';

const [G1, G2] = ['g1.00000001', 'g2.00000001'];

const NIL = '00000000-0000-0000-0000-000000000000';

function table({ maxSlots = 100 } = {}) {
  const clock = new FakeClock();
  const said: string[] = [];
  const sink = {
    slotChanged: (slot: { copy: { path: string } }) => said.push(slot.copy.path),
    slotGone: () => said.push('gone'),
    ignored: (_: string, fault: string, principal: string) => said.push(`${fault} ${principal}`),
  };
  const media = new MediaTable({ maxSlots }, { sink, clock });
  /** Acts as a peer of a gateway whose monotonic clock shows `ahead` ms more than ours. */
  const at = (gateway: string, ahead: number, principal = '192.0.2.1', mediaId = MEDIA) => {
    const us = () => (clock.now() + ahead) * 1000;
    const lnk = { mediaId, dialect: Dialect.DIALECT_CIRCUIT, remoteAddress: '', label: '', principal };
    return {
      us,
      open: (lnkConn: number) => media.opened(gateway, { ...lnk, lnkConn, openedUs: us() }, us()),
      says: (lnkConn: number, path: string, when = us(), index = 0) =>
        media.received(gateway, { lnkConn, index, copy: Buffer.from(copyOf(path)), receivedUs: when }, us()),
      writes: (lnkConn: number, index: number, copy: Uint8Array) =>
        media.received(gateway, { lnkConn, index, copy: Buffer.from(copy), receivedUs: us() }, us()),
    };
  };
  return { clock, media, said, at };
}

it('a peer that moves to another gateway is heard there, whatever the clocks of the two gateways show', () => {
  const { clock, media, said, at } = table();
  const [before, after] = [at(G1, 3_000_000), at(G2, 0)];
  before.open(1);
  before.says(1, 'span:old');
  // 2 s later the peer is at g2 (g1 has not noticed the loss yet) and its configuration has changed.
  clock.advance(2000);
  after.open(1);
  after.says(1, 'span:new');
  media.closed(G1, 1);
  expect(said).toEqual(['span:old', 'span:new']);
  expect(media.slot(MEDIA, 0)!.copy.path).toBe('span:new');
});

it('a LNK_VOLCONF that a later snapshot repeats keeps its original time', () => {
  const { clock, media, at } = table();
  const [one, two] = [at(G1, 0), at(G2, -77_000)];
  one.open(1);
  const came = one.us();
  one.says(1, 'span:old', came);
  clock.advance(2000);
  two.open(1);
  two.says(1, 'span:new');
  clock.advance(60_000);
  media.begin(G1);
  one.open(1);
  one.says(1, 'span:old', came);
  media.complete(G1);
  expect(media.slot(MEDIA, 0)!.copy.path).toBe('span:new');
});

it('of two LNK_CONNs at one gateway the later stamp counts, even if it is reported first', () => {
  const { clock, media, at } = table();
  const one = at(G1, 0);
  one.open(1);
  one.open(2);
  const [early, late] = [one.us(), one.us() + 0.1];
  one.says(2, 'span:late', late);
  clock.advance(500);
  one.says(1, 'span:early', early);
  expect(media.slot(MEDIA, 0)!.copy.path).toBe('span:late');
});

const EMPTY = { media: 0, slots: 0, principalsOfSlots: 0, lnkConns: 0, gatewaysOfMedia: 0, unconfirmed: 0 };
const paths = (slots: Iterable<{ copy: { path: string } }>) => [...slots].map(({ copy }) => copy.path);

describe('slots', () => {
  it('are those of the LNK_CONNs with one media id, and go with the last of these', () => {
    const { media, said, at } = table();
    const [one, two] = [at(G1, 0), at(G2, 0)];
    one.open(1);
    one.open(1);
    two.open(1);
    one.says(1, 'span:a');
    two.says(1, 'span:b', two.us(), 1);
    expect(media.tables()).toEqual({
      ...EMPTY,
      media: 1,
      slots: 2,
      principalsOfSlots: 1,
      lnkConns: 2,
      gatewaysOfMedia: 2,
    });
    expect([media.size, paths(media.all()), paths(media.all(MEDIA))]).toEqual([
      1,
      ['span:a', 'span:b'],
      ['span:a', 'span:b'],
    ]);
    expect([...media.all(MEDIA_2)]).toEqual([]);
    media.closed(G1, 7);
    media.closed('nobody', 1);
    media.closed(G1, 1);
    expect(said).toEqual(['span:a', 'span:b']);
    media.closed(G2, 1);
    expect(said.slice(2)).toEqual(['gone', 'gone']);
    expect(media.tables()).toEqual(EMPTY);
  });

  it('are unchanged when the same copy is written again, or by an unknown LNK_CONN', () => {
    const { clock, media, said, at } = table();
    const one = at(G1, 0);
    one.open(1);
    one.says(1, 'span:a');
    clock.advance(1);
    one.says(1, 'span:a');
    one.says(2, 'span:b');
    at(G2, 0).says(1, 'span:b');
    expect([said, media.slots]).toEqual([['span:a'], 1]);
    // The slot's time is that of the last write, though that write changed nothing.
    one.says(1, 'span:early', one.us() - 500);
    clock.advance(1);
    one.says(1, 'span:late');
    expect(said).toEqual(['span:a', 'span:late']);
  });

  it('of a second principal with the same media do not count until the first principal has left', () => {
    const { media, said, at } = table();
    const [first, second, third] = [at(G1, 0, 'a'), at(G2, 0, 'b'), at(G2, 0, 'c')];
    first.open(1);
    first.says(1, 'span:a');
    second.open(1);
    third.open(2);
    second.says(1, 'span:b');
    third.says(2, 'span:c');
    expect(said).toEqual(['span:a', 'not-the-owner b', 'not-the-owner c']);
    expect([paths(media.all()), media.slots, media.size]).toEqual([['span:a'], 3, 1]);
    // A principal that is not the owner leaves without an event.
    media.closed(G2, 1);
    expect(said).toHaveLength(3);
    media.closed(G1, 1);
    expect(said.slice(3)).toEqual(['gone', 'span:c']);
    expect(paths(media.all())).toEqual(['span:c']);
    media.closed(G2, 2);
    expect(media.tables()).toEqual(EMPTY);
  });

  it('belong to the principal with the oldest LNK_CONN, whatever the order of the reports', () => {
    const { clock, media, said, at } = table();
    const [late, early, last] = [at(G1, 0, 'late'), at(G2, 0, 'early'), at(G2, 0, 'last')];
    clock.advance(100);
    late.open(1);
    late.says(1, 'span:late');
    const told = { mediaId: MEDIA, dialect: Dialect.DIALECT_CIRCUIT, remoteAddress: '', label: '' };
    media.opened(G2, { ...told, lnkConn: 1, principal: 'early', openedUs: early.us() - 50_000 }, early.us());
    expect(said).toEqual(['span:late', 'gone']);
    early.says(1, 'span:early');
    expect(paths(media.all())).toEqual(['span:early']);
    media.opened(G2, { ...told, lnkConn: 2, principal: 'last', openedUs: last.us() - 10_000 }, last.us());
    last.says(2, 'span:last');
    media.closed(G2, 1);
    // The media goes to the older of the remaining claims.
    expect(paths(media.all())).toEqual(['span:last']);
    expect(said.slice(-2)).toEqual(['gone', 'span:last']);
  });

  it('of the nil media belong to one principal each', () => {
    const { media, at } = table();
    for (const [lnkConn, principal] of [
      [1, 'a'],
      [2, 'b'],
    ] as const) {
      const one = at(G1, 0, principal, NIL);
      one.open(lnkConn);
      one.says(lnkConn, `span:${principal}`);
    }
    const named = at(G1, 0, 'a');
    named.open(3);
    named.says(3, 'span:named');
    expect([media.size, paths(media.all(NIL)), paths(media.all(MEDIA))]).toEqual([
      3,
      ['span:a', 'span:b'],
      ['span:named'],
    ]);
    expect([media.slot(`${NIL}@a`, 0)?.copy.path, media.slot(NIL, 0), media.slot(`${NIL}@a`, 1)]).toEqual([
      'span:a',
      undefined,
      undefined,
    ]);
  });

  // Limits: volconf/src/limits.ts SLOTS_PER_MEDIA
  it('have an index below 256 and a terminated, non-empty path', () => {
    const { media, said, at } = table();
    const one = at(G1, 0);
    one.open(1);
    const unterminated = copyOf('span:a');
    unterminated[127] = 1;
    const longest = copyOf(`span:${'x'.repeat(58)}`);
    one.writes(1, SLOTS_PER_MEDIA, copyOf('span:a'));
    one.writes(1, 1, new Uint8Array(127));
    one.writes(1, 1, new Uint8Array(129));
    one.writes(1, 1, copyOf(''));
    one.writes(1, 1, unterminated);
    expect(said).toEqual(['index', 'copy', 'copy', 'empty-path', 'unterminated-path'].map((one) => `${one} 192.0.2.1`));
    one.writes(1, SLOTS_PER_MEDIA - 1, copyOf('span:a'));
    one.writes(1, 0, longest);
    expect(media.slots).toBe(2);
  });

  it('are limited in number: the principal with most gives one up, counting slots of claims that wait, too', () => {
    const { media, said, at } = table({ maxSlots: 4 });
    const [owner, other, third] = [at(G1, 0, 'owner'), at(G1, 0, 'other'), at(G1, 0, 'third', MEDIA_2)];
    owner.open(1);
    other.open(2);
    third.open(3);
    owner.says(1, 'span:a');
    for (const index of [0, 1, 2]) other.says(2, 'span:b', other.us() + index, index);
    owner.says(1, 'span:none', owner.us(), 1);
    expect(said.at(-1)).toBe('span:none');
    said.length = 0;
    // `other` has two slots that wait, `owner` two that count: neither has two more than a third principal with one.
    third.says(3, 'span:c');
    expect([said, media.slots]).toEqual([['gone', 'span:c'], 4]);
    third.says(3, 'span:d', third.us(), 1);
    expect(said.at(-1)).toBe('too-many third');
    expect(media.slots).toBe(4);
  });
});

describe('a slot that is given up', () => {
  it('and belonged to a waiting claim is removed without an event', () => {
    const { media, said, at } = table({ maxSlots: 4 });
    const [owner, other, third] = [at(G1, 0, 'owner'), at(G1, 0, 'other'), at(G1, 0, 'third', MEDIA_2)];
    owner.open(1);
    owner.says(1, 'span:a');
    other.open(2);
    for (const index of [0, 1, 2]) other.says(2, 'span:b', other.us(), index);
    third.open(3);
    said.length = 0;
    third.says(3, 'span:c');
    expect([said, media.slots, paths(media.all(MEDIA))]).toEqual([['span:c'], 4, ['span:a']]);
    media.closed(G1, 1);
    // The other two slots of its principal count now.
    expect(said.slice(1)).toEqual(['gone', 'span:b', 'span:b']);
  });
});

it('a target is dialled in the dialect of the slot’s LNK_CONN, and in circuit if that is unspecified', () => {
  const { media, at } = table();
  const one = at(G1, 0);
  const told = { mediaId: MEDIA, principal: '192.0.2.1', remoteAddress: '', label: '', openedUs: 0 };
  for (const [lnkConn, dialect] of [
    [1, Dialect.DIALECT_LINKID],
    [2, Dialect.DIALECT_CIRCUIT],
    [3, Dialect.DIALECT_UNSPECIFIED],
  ] as const) {
    media.opened(G1, { ...told, lnkConn, dialect }, 0);
    one.says(lnkConn, 'span:a', one.us() + lnkConn, lnkConn);
  }
  expect([...media.all()].map(({ dialect }) => dialect)).toEqual(['linkid', 'circuit', 'circuit']);
});

describe('a gateway', () => {
  it('whose new snapshot does not name a LNK_CONN loses it once that snapshot is complete', () => {
    const { media, said, at } = table();
    const one = at(G1, 0);
    one.open(1);
    one.open(2);
    one.says(1, 'span:a');
    media.begin(G1);
    expect(media.tables()).toMatchObject({ unconfirmed: 2 });
    one.open(1);
    expect(media.tables()).toMatchObject({ unconfirmed: 1, lnkConns: 2 });
    media.complete(G1);
    expect([said, media.lnkConns]).toEqual([['span:a'], 1]);
    media.complete(G1);
    media.begin(G1);
    media.complete(G1);
    expect([said, media.tables()]).toEqual([['span:a', 'gone'], EMPTY]);
  });

  it('that is gone has no LNK_CONNs and slots any more', () => {
    const { media, said, at } = table();
    for (const gateway of [G1, G2]) {
      const one = at(gateway, 0, gateway, gateway === G1 ? MEDIA : MEDIA_2);
      one.open(1);
      one.open(2);
      one.says(1, `span:${gateway}`);
    }
    media.begin(G1);
    media.gone(G1);
    expect([said.at(-1), paths(media.all())]).toEqual(['gone', [`span:${G2}`]]);
    expect(media.tables()).toEqual({
      ...EMPTY,
      media: 1,
      slots: 1,
      principalsOfSlots: 1,
      lnkConns: 2,
      gatewaysOfMedia: 1,
    });
    media.gone(G2);
    expect(media.tables()).toEqual(EMPTY);
  });

  it('whose clock has gone back reports with the present time', () => {
    const { clock, media, at } = table();
    const one = at(G1, 0);
    one.open(1);
    one.says(1, 'span:a', one.us() + 60_000_000);
    expect(media.slot(MEDIA, 0)!.told.at).toBe(clock.now());
  });
});
