import { BusError, MAX_BUS_BYTES } from './bus.ts';

/** Longest subject or key, characters; far longer than any that we use, and far shorter than a NATS server takes. */
const MAX_NAME_LENGTH = 256;
const TOKEN = /^[^\s.*>]+$/;
const KEY = /^[-/_=A-Za-z0-9]+(\.[-/_=A-Za-z0-9]+)*$/;
const BUCKET = /^[-_A-Za-z0-9]+$/;

/** Throws BusError `invalid` unless this is a subject to publish on: dot-separated tokens, no wildcards. */
export function checkSubject(subject: string): void {
  if (subject.length > MAX_NAME_LENGTH || !subject.split('.').every((token) => TOKEN.test(token))) {
    throw new BusError('invalid', `bad subject '${subject}'`);
  }
}

/** Throws BusError `invalid` unless this is a subject to subscribe to; true when it has wildcards. */
export function checkPattern(pattern: string): boolean {
  const tokens = pattern.split('.');
  let wild = false;
  for (const [index, token] of tokens.entries()) {
    if (token === '*' || (token === '>' && index === tokens.length - 1)) {
      wild = true;
    } else if (!TOKEN.test(token)) {
      throw new BusError('invalid', `bad subject '${pattern}'`);
    }
  }
  if (pattern.length > MAX_NAME_LENGTH) {
    throw new BusError('invalid', `bad subject '${pattern}'`);
  }
  return wild;
}

/** Whether a checked pattern matches a checked subject. */
export function subjectMatches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const tokens = subject.split('.');
  for (const [index, token] of wanted.entries()) {
    if (token === '>') {
      return tokens.length > index;
    }
    if (index >= tokens.length || (token !== '*' && token !== tokens[index])) {
      return false;
    }
  }
  return wanted.length === tokens.length;
}

/** Throws BusError `invalid` unless this is a key (the alphabet of JetStream's key-value store). */
export function checkKey(key: string): void {
  if (key.length > MAX_NAME_LENGTH || !KEY.test(key)) {
    throw new BusError('invalid', `bad key '${key}'`);
  }
}

/** Throws BusError `invalid` unless this names a bucket. */
export function checkBucket(bucket: string): void {
  if (bucket.length > MAX_NAME_LENGTH || !BUCKET.test(bucket)) {
    throw new BusError('invalid', `bad bucket '${bucket}'`);
  }
}

/** Throws BusError `invalid` for more bytes than the bus carries. */
export function checkSize(data: Uint8Array): void {
  if (data.length > MAX_BUS_BYTES) {
    throw new BusError('invalid', `${data.length} bytes, at most ${MAX_BUS_BYTES}`);
  }
}
