import { describe, expect, it } from 'vitest';
import { MAX_BUS_BYTES } from './bus.ts';
import { checkBucket, checkKey, checkPattern, checkSize, checkSubject } from './bus-subjects.ts';

describe('names and messages that the bus takes', () => {
  // Limits: bus/bus-subjects.ts MAX_NAME_LENGTH
  it.each([
    ['a subject', checkSubject],
    ['a pattern', checkPattern],
    ['a key', checkKey],
    ['a bucket', checkBucket],
  ])('include %s of 256 characters, and none of 257', (_what, check) => {
    expect(() => check('x'.repeat(256))).not.toThrow();
    expect(() => check('x'.repeat(257))).toThrow(expect.objectContaining({ code: 'invalid' }));
  });

  // Limits: bus/bus.ts MAX_BUS_BYTES
  it('have as many bytes as a NATS server takes, and not one more', () => {
    expect(() => checkSize(new Uint8Array(MAX_BUS_BYTES))).not.toThrow();
    expect(() => checkSize(new Uint8Array(MAX_BUS_BYTES + 1))).toThrow(expect.objectContaining({ code: 'invalid' }));
  });
});
