import { describe, expect, it } from 'vitest';
import type { PoolLimit } from '../shares/pool.ts';
import { OpenCalls } from './open-calls.ts';

const ended: string[] = [];

function callFrom(address: string, port: number) {
  return { address, connection: `${address}:${port}`, end: () => void ended.push(address) };
}

/** As many calls as are allowed: 8 addresses with 256 each. */
function full(): OpenCalls {
  ended.length = 0;
  const calls = new OpenCalls();
  for (let i = 0; i < 2048; i++) expect(calls.add(callFrom(`10.0.0.${i % 8}`, i >> 7))).toBeNull();
  return calls;
}

describe('calls that need no certificate or token', () => {
  // Limits: grpc/open-calls.ts MAX_PUBLIC_CALLS_PER_CONNECTION
  it('are limited for each connection', () => {
    const calls = new OpenCalls();
    for (let i = 0; i < 16; i++) expect(calls.add(callFrom('a', 1))).toBeNull();
    expect(calls.add(callFrom('a', 1))).toContain('16');
    expect(calls.add(callFrom('a', 2))).toBeNull();
    expect(calls.refused).toBe(1);
  });

  // Limits: grpc/open-calls.ts MAX_PUBLIC_CALLS_PER_ADDRESS
  it('have a bound for each address', () => {
    const limited: PoolLimit[] = [];
    const calls = new OpenCalls({ limited: (limit) => void limited.push(limit) });
    for (let i = 0; i < 256; i++) expect(calls.add(callFrom('a', i))).toBeNull();
    expect(calls.add(callFrom('a', 256))).toContain('256');
    expect(limited).toMatchObject([{ resource: 'calls of the health service', principal: 'a', held: 256, limit: 256 }]);
    expect(calls.add(callFrom('b', 1))).toBeNull();
  });

  // Limits: grpc/open-calls.ts MAX_PUBLIC_CALLS
  it('beyond the limit for all, the oldest of the address with most ends, and the newcomer is served', () => {
    const calls = full();
    expect(calls.add(callFrom('new', 1))).toBeNull();
    expect(ended).toEqual(['10.0.0.0']);
    expect(calls.size).toBe(2048);
  });

  it('are forgotten when they have ended', () => {
    const calls = new OpenCalls();
    const call = callFrom('a', 1);
    for (let i = 0; i < 1000; i++) {
      calls.add(call);
      calls.remove(call);
      calls.remove(call);
    }
    expect([calls.size, calls.refused]).toEqual([0, 0]);
  });
});
