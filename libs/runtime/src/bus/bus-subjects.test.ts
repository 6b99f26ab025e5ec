import { describe, expect, it } from 'vitest';
import { checkBucket, checkKey, checkPattern, checkSize, checkSubject, subjectMatches } from './bus-subjects.ts';

// Written once more: a change of them must be noticed.
const MAX_BUS_BYTES = 1024 * 1024;

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

const INVALID = (words: string) => expect.objectContaining({ code: 'invalid', message: words });

it('a subject has tokens between dots, and no wildcards', () => {
  for (const subject of ['a', 'a.b-c.D_1']) expect(checkSubject(subject)).toBeUndefined();
  for (const subject of ['', '.', 'a.', '.a', 'a..b', 'a b', 'a.*', 'a.>', 'a*']) {
    expect(() => checkSubject(subject)).toThrow(INVALID(`bad subject '${subject}'`));
  }
});

it('a pattern may have wildcards as whole tokens, > as the last one only', () => {
  expect(['a', 'a.b'].map(checkPattern)).toEqual([false, false]);
  expect(['*', '>', 'a.*', '*.b', 'a.>', '*.>'].map(checkPattern)).toEqual([true, true, true, true, true, true]);
  for (const pattern of ['', 'a..b', '>.a', '*.>.b', 'a.b*', 'a.>>', 'a b']) {
    expect(() => checkPattern(pattern)).toThrow(INVALID(`bad subject '${pattern}'`));
  }
});

it('* matches exactly one token of a subject, and a last > one or more', () => {
  const matches = (pattern: string, subjects: string[]) => subjects.filter((one) => subjectMatches(pattern, one));
  expect(matches('a.b', ['a', 'a.b', 'a.c', 'a.b.c', 'b.a'])).toEqual(['a.b']);
  expect(matches('a.*', ['a', 'a.b', 'a.c', 'b.c', 'a.b.c'])).toEqual(['a.b', 'a.c']);
  expect(matches('*.b', ['b', 'a.b', 'c.b', 'a.c', 'a.b.b'])).toEqual(['a.b', 'c.b']);
  expect(matches('a.>', ['a', 'a.b', 'a.b.c', 'b.c'])).toEqual(['a.b', 'a.b.c']);
  expect(matches('>', ['a', 'a.b'])).toEqual(['a', 'a.b']);
});

it('keys and buckets have the characters that JetStream takes', () => {
  for (const key of ['a', 'b.c', 'd/e_f=g-H']) expect(checkKey(key)).toBeUndefined();
  for (const key of ['', '.a', 'a.', 'a..b', 'a b', 'a*', '>', 'ü']) {
    expect(() => checkKey(key)).toThrow(INVALID(`bad key '${key}'`));
  }
  expect(checkBucket('a-B_1')).toBeUndefined();
  for (const bucket of ['', 'a.b', 'a b', 'a/b', 'a*']) {
    expect(() => checkBucket(bucket)).toThrow(INVALID(`bad bucket '${bucket}'`));
  }
});
