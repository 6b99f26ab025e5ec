import { describe, expect, it } from 'vitest';
import { BLK_READ, LNK_PING } from '../command.ts';
import { CIRCUIT, LINKID } from '../dialect.ts';
import { ErrorCode } from '../error-code.ts';
import { errorOf, Recorder } from './frames.fixture.ts';
import { FrameReader } from './framing.ts';
import { encodeMessage } from './message.ts';

describe('encodeMessage', () => {
  it('gives the bytes of a recorded ping', () => {
    const message = encodeMessage({ rules: CIRCUIT, cmd: LNK_PING, salt: 0x85500e03 });
    expect(Buffer.from(message).toString('hex')).toBe(
      '32480000030e508500000000000000000000000000000000000000000000000001010000000000000000000000000000000000000000000000000000f5540708',
    );
  });

  it('pads aux data with zeros and counts it in the unit of the dialect', () => {
    const aux = Buffer.alloc(65, 0xff);
    const [linkid, circuit] = [LINKID, CIRCUIT].map((rules) => encodeMessage({ rules, cmd: LNK_PING, aux, salt: 0 }));
    expect([linkid!.length, circuit!.length]).toEqual([192, 192]);
    expect([linkid![40], circuit![40]]).toEqual([2, 65]);
    expect(linkid!.subarray(129).every((byte) => byte === 0)).toBe(true);
  });

  it('refuses what a reader would refuse: FIELD', () => {
    const salt = 0;
    for (const fields of [
      { rules: LINKID, cmd: 0, salt },
      { rules: LINKID, cmd: 33, salt },
      { rules: CIRCUIT, cmd: BLK_READ, payload: new Uint8Array(65), salt },
      { rules: LINKID, cmd: LNK_PING, aux: new Uint8Array(64 * 1024 + 1), salt },
      { rules: CIRCUIT, cmd: LNK_PING, aux: new Uint8Array(1024 * 1024 + 1), salt },
    ]) {
      expect(errorOf(() => encodeMessage(fields))?.code).toBe(ErrorCode.FIELD);
    }
    expect(() => encodeMessage({ rules: LINKID, cmd: 0, salt })).toThrow('bad header size');
  });

  it('goes up to the limits', () => {
    for (const rules of [LINKID, CIRCUIT]) {
      const payload = Buffer.alloc(1984, 1);
      const message = encodeMessage({ rules, cmd: 0x00077720, payload, aux: Buffer.alloc(rules.auxLimit, 2), salt: 0 });
      const recorder = new Recorder();
      new FrameReader({ rules }).push(message, recorder);
      expect(recorder.frames[0]!.fields).toMatchObject({ headBytes: 2048, auxPadded: rules.auxLimit });
    }
  });
});
