import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { TlsError } from '../secrets/tls-error.ts';
import { createApiToken, parseApiTokens } from './api-tokens.ts';

// Written once more: a change of them must be noticed.
const MAX_API_TOKENS = 1000;
const MAX_TOKEN_CHARS = 512;

const parse = (text: string) => parseApiTokens('tokens', Buffer.from(text));
const HASH = 'sha256:'.padEnd(71, '0');

describe('tokens of the API', () => {
  it('are recognised by the lines that createApiToken has made with them', () => {
    const ann = createApiToken({ name: 'ann', role: 'operate' });
    const bot = createApiToken({ name: 'bot', role: 'read' });
    const tokens = parse(`# users\n\n${ann.line}\r\n  ${bot.line}`);
    expect(tokens.size).toBe(2);
    expect(tokens.userOf(ann.token)).toMatchObject({ name: 'ann', role: 'operate' });
    expect(tokens.userOf(bot.token)).toMatchObject({ name: 'bot', role: 'read' });
    expect(tokens.userOf(`${ann.token}x`)).toBeNull();
    expect(tokens.userOf('')).toBeNull();
  });

  // Limits: access/api-tokens.ts MAX_TOKEN_CHARS
  it('of others may be longer than ours, and are refused unread when they are too long', () => {
    const line = (token: string) => `ann read sha256:${createHash('sha256').update(token).digest('hex')}`;
    const [longest, longer] = ['x'.repeat(MAX_TOKEN_CHARS), 'x'.repeat(MAX_TOKEN_CHARS + 1)];
    const tokens = parse(`${line(longest)}\n${line(longer)}`);
    expect(tokens.userOf(longest)?.name).toBe('ann');
    expect(tokens.userOf(longer)).toBeNull();
  });

  it('are long, prefixed, different each time, and not contained in their line', () => {
    const [one, two] = [createApiToken({ name: 'a', role: 'read' }), createApiToken({ name: 'a', role: 'read' })];
    expect(one.token).toMatch(/^spm_[A-Za-z0-9_-]{43}$/);
    expect(one.token).not.toBe(two.token);
    expect(one.line).not.toContain(one.token.slice(4));
    expect(() => createApiToken({ name: 'a b', role: 'read' })).toThrow(TypeError);
  });

  it('may be two for one name, while one replaces the other', () => {
    const [one, two] = [createApiToken({ name: 'a', role: 'read' }), createApiToken({ name: 'a', role: 'read' })];
    const tokens = parse(`${one.line}\n${two.line}\n`);
    expect([tokens.userOf(one.token)?.name, tokens.userOf(two.token)?.name]).toEqual(['a', 'a']);
  });

  it.each([
    ['spm_SECRET', /^tokens: line 1: must be NAME ROLE sha256:HEX/],
    [`# x\nann admin ${HASH}`, /^tokens: line 2: the role must be one of read, operate$/],
    [`a;nn read ${HASH}`, /^tokens: line 1: the name must be made of/],
    [`ann read ${HASH} SECRET`, /^tokens: line 1: must be/],
    [`ann read ${HASH}\nbob read ${HASH}`, /^tokens: line 2: this token stands there twice$/],
  ])('are refused in %j, which the error does not repeat', (text, message) => {
    expect(() => parse(text)).toThrow(message);
    expect(() => parse(text)).toThrow(TlsError);
    expect(() => parse(text)).not.toThrow(/SECRET/);
  });

  // Limits: access/api-tokens.ts MAX_API_TOKENS
  it('are no more than can be compared at each call', () => {
    const lines = Array.from({ length: MAX_API_TOKENS + 1 }, (_, i) => `u read sha256:${String(i).padStart(64, '0')}`);
    expect(parse(lines.slice(1).join('\n')).size).toBe(MAX_API_TOKENS);
    expect(() => parse(lines.join('\n'))).toThrow(`line ${MAX_API_TOKENS + 1}: more than`);
  });
});
