import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader } from '../wire/framing.ts';
import { encryptHandshake, readHandshake } from './handshake.ts';
import { openBlock } from './handshake-block.ts';
import { recordedSides } from './recorded-session.fixture.ts';
import { cutAt, openAll } from './reference.fixture.ts';
import { OPENSSL_STEPS } from './rsa-steps.ts';
import { StreamOpener } from './stream-opener.ts';
import { StreamSealer } from './stream-sealer.ts';
import { UntaggedOpener, UntaggedSealer } from './untagged.ts';

const sides = recordedSides();

it('there are both sides of three sessions', () => {
  expect(sides.length).toBe(6);
  for (const side of sides) {
    expect(side.messages.length).toBeGreaterThan(5);
    expect(side.wire.length).toBe((Buffer.concat(side.messages).length / 64) * (side.tagged ? 80 : 64));
  }
});

describe.each(sides)('recorded: $name', (side) => {
  const { session, reason } = readHandshake(side.handshakeWire, side.peerKeys);
  const plain = Buffer.concat(side.messages);
  const newOpener = () => (side.tagged ? new StreamOpener(session) : new UntaggedOpener(session));
  const newSealer = () => (side.tagged ? new StreamSealer(session) : new UntaggedSealer(session));

  it('its handshake is read, and made again', () => {
    const blocks = [side.handshakeWire.subarray(0, 256), side.handshakeWire.subarray(256)];
    const opened = blocks.map((block) => openBlock(block, side.peerKeys, OPENSSL_STEPS));
    expect(opened.map(({ wrong }) => wrong)).toEqual([0, 0]);
    expect(Buffer.concat(opened.map(({ plain }) => plain))).toEqual(side.handshakePlain);
    expect(side.handshakePlain.subarray(16, 80).equals(session)).toBe(true);
    expect(reason).toBe(side.name.endsWith('client') ? 'probe' : 'Testing 1 2 3');
    expect(encryptHandshake(Buffer.from(side.handshakePlain), side.keys)).toEqual(side.handshakeWire);
  });

  it('its stream is opened, however it is cut', () => {
    expect(openAll(newOpener(), [side.wire])).toEqual(plain);
    fc.assert(
      fc.property(fc.array(fc.nat()), (places) => {
        expect(openAll(newOpener(), cutAt(side.wire, places)).equals(plain)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('its messages come out', () => {
    const reader = new FrameReader({ rules: side.rules });
    const got: Buffer[] = [];
    newOpener().open(side.wire, {
      onPlain: (bytes) =>
        reader.push(bytes, {
          onFrame: (frame) => {
            got.push(Buffer.from(frame.buf.subarray(frame.off, frame.off + frame.headBytes + frame.auxPadded)));
          },
        }),
    });
    expect(got).toEqual(side.messages);
    expect(reader.pendingBytes).toBe(0);
  });

  it('its stream is sealed again, to the same bytes', () => {
    const one = newSealer();
    expect(Buffer.concat(side.messages.map((message) => one.seal(message)))).toEqual(side.wire);
    expect(Buffer.concat(newSealer().sealSlices(side.messages))).toEqual(side.wire);
  });
});
