import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { MAX_TOKENS, TOKEN_TTL_MS } from './limits.ts';
import { Tokens } from './tokens.ts';

describe('tokens', () => {
  // Limits: trunk/limits.ts MAX_TOKENS
  it('are limited in number until their time is over', () => {
    const clock = new FakeClock();
    const tokens = new Tokens(clock);
    for (let n = 0; n < MAX_TOKENS; n++) expect(tokens.issue(`g${n}`)).not.toBeNull();
    expect(tokens.issue('one more')).toBeNull();
    // A gateway that has a token gets another in its place.
    expect(tokens.issue('g1')).not.toBeNull();
    expect(tokens.size).toBe(MAX_TOKENS);
    clock.advance(TOKEN_TTL_MS - 1);
    expect(tokens.issue('one more')).toBeNull();
    clock.advance(1);
    expect(tokens.issue('one more')).not.toBeNull();
    expect(tokens.size).toBe(1);
  });

  it('are good once, for a limited time, and not after they are revoked', () => {
    const clock = new FakeClock();
    const tokens = new Tokens(clock);
    const first = tokens.issue('a')!;
    const second = tokens.issue('b')!;
    expect(tokens.redeem(new Uint8Array(first.length))).toBeNull();
    expect(tokens.redeem(first.subarray(1))).toBeNull();
    expect([tokens.redeem(first), tokens.redeem(first), tokens.size]).toEqual(['a', null, 1]);
    tokens.revoke('b');
    expect([tokens.redeem(second), tokens.size]).toEqual([null, 0]);
    const late = tokens.issue('c')!;
    clock.advance(TOKEN_TTL_MS);
    expect(tokens.redeem(late)).toBeNull();
    tokens.issue('d');
    tokens.clear();
    expect(tokens.size).toBe(0);
  });
});
