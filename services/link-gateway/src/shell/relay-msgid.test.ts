import { describe, expect, it } from 'vitest';
import type { RelaySource } from '../peers/peer.ts';
import { relayMsgid } from './relay-msgid.ts';

const OWN = 'gw.00000001';
const OTHER = 'gw-2.00000002';

/** A link with an open relay on LNK_CONN 3, and one on LNK_CONN 4 that waits to be opened. */
function linkWith(msgidLo: number): RelaySource {
  const tx = { msgidHi: 0xfffff800, msgidLo };
  return { relays: new Map<number, unknown>().set(3, { tx }).set(4, { tx: null }) } as unknown as RelaySource;
}

/** Links 9 of this gateway and of another one. */
const known = new Map([
  ['/9', linkWith(0x12345640)],
  [`${OTHER}/9`, linkWith(0x680)],
]);
const tables = { source: (gateway: string, link: number) => known.get(`${gateway}/${link}`) };

describe('the msgid of a relay in a tree', () => {
  it.each([
    ['a link of this gateway', `${OWN}:9`, `${OWN}:3`, 'fffff80012345640'],
    ['a link of another gateway', `${OTHER}:9`, `${OWN}:3`, 'fffff80000000680'],
    ['a relay that waits', `${OWN}:9`, `${OWN}:4`, null],
    ['a LNK_CONN without a relay', `${OWN}:9`, `${OWN}:5`, null],
    ['a link that is not known', `${OWN}:8`, `${OWN}:3`, null],
    ['a LNK_CONN of another gateway', `${OWN}:9`, `${OTHER}:3`, null],
  ])('%s', (_what, linkId, lnkConnId, msgid) => {
    expect(relayMsgid(tables, OWN, { linkId, lnkConnId })).toBe(msgid);
  });
});
