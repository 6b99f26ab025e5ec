import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LnkConn, Relay } from './peer.ts';

function listed({ firstRelay }: LnkConn): Relay[] {
  const all: Relay[] = [];
  for (let relay = firstRelay; relay !== null; relay = relay.next) all.push(relay);
  return all;
}

it('a LNK_CONN lists its relays in the order in which they were opened, whichever of them close', () => {
  // A number below 0 opens a relay; another one closes that one of the open ones.
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -20, max: 19 }), { maxLength: 60 }), (steps) => {
      const lnkConn = new LnkConn(1 as never, null as never, null as never, Buffer.alloc(0));
      const expected: Relay[] = [];
      for (const step of steps) {
        if (step < 0 || expected.length === 0) {
          const relay = new Relay(null as never, lnkConn, 0, true);
          lnkConn.addRelay(relay);
          expected.push(relay);
        } else {
          const [relay] = expected.splice(step % expected.length, 1);
          if (relay !== undefined) lnkConn.removeRelay(relay);
        }
        const all = listed(lnkConn);
        expect(all.length === expected.length && all.every((relay, i) => relay === expected[i])).toBe(true);
        expect(all.every(({ previous }, i) => previous === (all[i - 1] ?? null))).toBe(true);
      }
    }),
  );
});
