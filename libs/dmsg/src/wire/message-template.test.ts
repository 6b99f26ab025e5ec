import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CREATE, LNK_SPAN } from '../command.ts';
import { CIRCUIT, LINKID } from '../dialect.ts';
import { encodeMessage } from './message.ts';
import { messageTemplate } from './message-template.ts';
import { MessageWriter } from './message-writer.ts';
import { OutBuffer } from './out-buffer.ts';

const u32 = fc.integer({ min: 0, max: 0xffffffff });

describe.each([CIRCUIT, LINKID])('messages of a template', (rules) => {
  it('are those that would be written, whatever msgid and salt', () => {
    const payload = fc.uint8Array({ minLength: 0, maxLength: 384 });
    fc.assert(
      fc.property(payload, u32, u32, u32, (body, lo, hi, salt) => {
        const cmd = (LNK_SPAN | CREATE) >>> 0;
        const out = new OutBuffer();
        const writer = new MessageWriter(rules, out, { next: () => salt });
        writer.writeLike(messageTemplate(cmd, body), lo, hi);
        const expected = encodeMessage({ rules, cmd, msgid: { lo, hi }, payload: body, salt });
        expect(Buffer.concat(out.take()).equals(expected)).toBe(true);
        expect(writer.messages).toBe(1);
      }),
    );
  });
});
