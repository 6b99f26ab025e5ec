import { Dialect } from '@spanmesh/proto/v1/types';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { expect, it } from 'vitest';
import { copyOf, MEDIA } from '../testing/world.fixture.ts';
import { MediaTable } from './media.ts';

const [G1, G2] = ['g1.00000001', 'g2.00000001'];

function table() {
  const clock = new FakeClock();
  const said: string[] = [];
  const sink = {
    slotChanged: (slot: { copy: { path: string } }) => said.push(slot.copy.path),
    slotGone: () => said.push('gone'),
    ignored: (_: string, fault: string) => said.push(fault),
  };
  const media = new MediaTable({ maxSlots: 100 }, { sink, clock });
  /** A peer of a gateway whose monotonic clock shows `ahead` ms more than ours. */
  const at = (gateway: string, ahead: number, principal = '192.0.2.1') => {
    const us = () => (clock.now() + ahead) * 1000;
    const lnk = { mediaId: MEDIA, dialect: Dialect.DIALECT_CIRCUIT, remoteAddress: '', label: '', principal };
    return {
      us,
      open: (lnkConn: number) => media.opened(gateway, { ...lnk, lnkConn, openedUs: us() }, us()),
      says: (lnkConn: number, path: string, when = us()) =>
        media.received(gateway, { lnkConn, index: 0, copy: Buffer.from(copyOf(path)), receivedUs: when }, us()),
    };
  };
  return { clock, media, said, at };
}

it('a peer that moves to another gateway is heard there, whatever the clocks of the two show', () => {
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

it('what a gateway tells again in a later snapshot is as old as it says', () => {
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

it('of two LNK_CONNs at one gateway the later stamp counts, however late it is told', () => {
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
