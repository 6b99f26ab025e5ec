import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BASE_MASK, LNK_SPAN } from '../command.ts';
import type { Dialect } from '../dialect.ts';
import { DmsgError } from '../dmsg-error.ts';
import { recordedStreams } from '../recorded.fixture.ts';
import { readU32 } from '../wire/words.ts';
import { decodeLnkSpanPayload, encodeLnkSpan, LNK_SPAN_BYTES, relaySpanPayload } from './lnk-span.ts';

const dialects = fc.constantFrom<Dialect>('linkid', 'circuit');
const payloads = fc.uint8Array({ minLength: LNK_SPAN_BYTES, maxLength: LNK_SPAN_BYTES });
const RNSS_AT = 52;

describe('LNK_SPAN', () => {
  it('decodes any bytes to fields that survive encoding and decoding', () => {
    fc.assert(
      fc.property(dialects, payloads, (dialect, payload) => {
        const span = decodeLnkSpanPayload(dialect, payload, 0);
        const out = Buffer.alloc(LNK_SPAN_BYTES + 2, 0xee);
        encodeLnkSpan(span, out, 1);
        expect(decodeLnkSpanPayload(dialect, out, 1)).toEqual(span);
        expect([out[0], out[LNK_SPAN_BYTES + 1]]).toEqual([0xee, 0xee]);
      }),
    );
  });

  it('has a signed dist in linkid, an unsigned one in circuit, and all 64 bits of a media size', () => {
    const payload = new Uint8Array(LNK_SPAN_BYTES).fill(0xff, 48, 72);
    expect(decodeLnkSpanPayload('linkid', payload, 0).dist).toBe(-1);
    expect(decodeLnkSpanPayload('circuit', payload, 0)).toMatchObject({
      dist: 0xffffffff,
      rnss: 0xffffffff,
      mediaBytes: 0xffffffffffffffffn,
      mediaBlksize: 0xffffffff,
    });
  });

  it('has labels that end before the last byte of their fields, whatever that byte is', () => {
    const payload = new Uint8Array(LNK_SPAN_BYTES).fill(0x78, 112);
    const labels = (bytes: Uint8Array) => {
      const { peerLabel, label } = decodeLnkSpanPayload('circuit', bytes, 0);
      return [decodeLnkSpanPayload('linkid', bytes, 0).label.length, peerLabel?.length, label.length];
    };
    expect(labels(payload)).toEqual([255, 127, 127]);
    // Nothing after the last label is passed on.
    for (const dialect of ['linkid', 'circuit'] as const) {
      expect(relaySpanPayload(dialect, payload, 0).subarray(367)).toEqual(new Uint8Array(LNK_SPAN_BYTES - 367));
    }
    expect(labels(relaySpanPayload('circuit', payload, 0)).slice(1)).toEqual([127, 127]);
    expect(labels(relaySpanPayload('linkid', payload, 0))[0]).toBe(255);
  });

  it('is refused when it is too short', () => {
    expect(() => decodeLnkSpanPayload('circuit', new Uint8Array(LNK_SPAN_BYTES - 1), 0)).toThrow(DmsgError);
    expect(() => relaySpanPayload('linkid', new Uint8Array(LNK_SPAN_BYTES - 1), 0)).toThrow(DmsgError);
  });
});

describe('relaySpanPayload', () => {
  it('is the span with dist + 1 (or 1 if dist is negative) and, in circuit, rnss + the constant mod 2^32', () => {
    fc.assert(
      fc.property(dialects, payloads, fc.integer({ min: 0, max: 0xffffffff }), (dialect, payload, add) => {
        const span = decodeLnkSpanPayload(dialect, payload, 0);
        const relay = relaySpanPayload(dialect, payload, add);
        expect(decodeLnkSpanPayload(dialect, relay, 0)).toEqual({
          ...span,
          dist: dialect === 'linkid' ? (Math.max(0, span.dist) + 1) | 0 : (span.dist + 1) >>> 0,
          rnss: dialect === 'linkid' ? 0 : (span.rnss + add) >>> 0,
        });
      }),
    );
  });

  it('carries nothing from between the fields, nor from behind the end of a label', () => {
    fc.assert(
      fc.property(dialects, payloads, (dialect, payload) => {
        // The fields at their offsets, and of media only the block size, are all that may be left.
        const relay = relaySpanPayload(dialect, payload, 0);
        const fields = new Uint8Array(LNK_SPAN_BYTES);
        encodeLnkSpan(decodeLnkSpanPayload(dialect, relay, 0), fields, 0);
        if (dialect === 'circuit') fields.set(payload.subarray(68, 112), 68);
        expect(relay).toEqual(fields);
      }),
    );
  });

  it('makes the payloads that the reference daemons made', () => {
    let relays = 0;
    const streams = recordedStreams();
    const spansOf = (file: string, from: string): Uint8Array[] =>
      streams
        .filter((stream) => stream.name.startsWith(`${file} `) && stream.name.endsWith(from))
        .flatMap((stream) => stream.messages.filter((message) => (readU32(message, 32) & BASE_MASK) === LNK_SPAN))
        .map((message) => message.subarray(64, 64 + LNK_SPAN_BYTES));
    for (const file of new Set(streams.map((stream) => stream.name.split(' ')[0]!))) {
      const dialect: Dialect = file.startsWith('v1') ? 'linkid' : 'circuit';
      const offered = spansOf(file, 'client');
      for (const relay of spansOf(file, 'daemon')) {
        relays++;
        const expected = Buffer.from(relay).toString('hex');
        // The daemon's rnss constant is not recorded: for one of the offered spans, the one that makes rnss right must
        // give the relay.
        const made = offered.map((span) => {
          const add = dialect === 'circuit' ? readU32(relay, RNSS_AT) - readU32(span, RNSS_AT) : 0;
          return Buffer.from(relaySpanPayload(dialect, span, add)).toString('hex');
        });
        expect(made).toContain(expected);
      }
    }
    expect(relays).toBeGreaterThan(20);
  });
});
