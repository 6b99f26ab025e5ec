import { CIRCUIT, LINKID } from '@spanmesh/dmsg/dialect';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MessageSplitter } from './message-splitter.ts';

interface Sizes {
  /** In units of 64 bytes. */
  readonly head?: number;
  /** In bytes. */
  readonly aux?: number;
  /** Bytes that the field aux_bytes counts as one. */
  readonly unit?: number;
  readonly fill?: number;
  readonly isLittle?: boolean;
}

/** A message of which only magic and sizes are right; every other byte is `fill`. */
function message({ head = 1, aux = 0, unit = 1, fill = 7, isLittle = true }: Sizes = {}): Buffer {
  const bytes = Buffer.alloc(head * 64 + Math.ceil(aux / 64) * 64, fill);
  const write = (value: number, at: number) =>
    isLittle ? bytes.writeUInt32LE(value, at) : bytes.writeUInt32BE(value, at);
  if (isLittle) bytes.writeUInt16LE(0x4832, 0);
  else bytes.writeUInt16BE(0x4832, 0);
  write(0x1200 + head, 32);
  write(aux / unit, 40);
  return bytes;
}

function split(pieces: readonly Uint8Array[], snaplen = Number.POSITIVE_INFINITY, rules = CIRCUIT) {
  const got: { bytes: Buffer; length: number }[] = [];
  const splitter = new MessageSplitter({ rules, snaplen }, (bytes, length) => got.push({ bytes, length }));
  for (const piece of pieces) splitter.push(piece);
  return { got, finish: () => splitter.finish() };
}

describe('A splitter', () => {
  it('cuts a stream into its messages, whatever the pieces in which it comes', () => {
    const sizes = fc.record({
      head: fc.integer({ min: 1, max: 32 }),
      aux: fc.integer({ min: 0, max: 300 }),
      fill: fc.integer({ min: 0, max: 255 }),
      isLittle: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(sizes, { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 700 }), (list, step) => {
        const messages = list.map((one) => message(one));
        const stream = Buffer.concat(messages);
        const pieces = Array.from({ length: Math.ceil(stream.length / step) }, (_, i) =>
          stream.subarray(i * step, (i + 1) * step),
        );
        const { got } = split(pieces);
        expect(got.map(({ bytes }) => bytes.toString('hex'))).toEqual(messages.map((one) => one.toString('hex')));
        const short = split(pieces, 10).got;
        expect(short.map(({ bytes, length }) => [bytes.toString('hex'), length])).toEqual(
          messages.map((one) => [one.subarray(0, 10).toString('hex'), one.length]),
        );
      }),
    );
  });

  it('counts aux data as the dialect does', () => {
    const messages = [message({ aux: 128, unit: 64 }), message({ head: 2 })];
    const { got } = split([Buffer.concat(messages)], undefined, LINKID);
    expect(got.map(({ length }) => length)).toEqual([64 + 128, 128]);
  });

  it.each([
    ['another magic', (bytes: Buffer) => bytes.writeUInt16LE(0x1111, 0)],
    ['no header size', (bytes: Buffer) => bytes.writeUInt32LE(0, 32)],
    ['too much aux data', (bytes: Buffer) => bytes.writeUInt32LE(0xffffffff, 40)],
  ])('hands on what comes as it comes once a header has %s', (_, spoil) => {
    const bad = message();
    spoil(bad);
    const { got } = split([message(), bad, Buffer.alloc(3, 1), message()]);
    expect(got.map(({ length }) => length)).toEqual([64, 64, 3, 64]);
  });

  it('hands on what has come of a message that does not end', () => {
    const { got, finish } = split([message(), message().subarray(0, 20)]);
    expect(got).toHaveLength(1);
    finish();
    finish();
    expect(got.map(({ length }) => length)).toEqual([64, 20]);
  });
});
