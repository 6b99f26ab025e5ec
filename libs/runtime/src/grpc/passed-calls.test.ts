import { Metadata, type MethodDefinition, status } from '@grpc/grpc-js';
import { VolconfService } from '@spanmesh/proto/v1/volconf';
import { afterEach, describe, expect, it } from 'vitest';
import { PLAINTEXT } from './grpc-client.ts';
import { PassedCalls } from './passed-calls.ts';

// Written once more: a change of them must be noticed.
const MAX_FORWARDED_CALLS = 2000;
const MAX_FORWARDED_CALLS_PER_PRINCIPAL = 1000;

const METHOD = VolconfService.listTargets as unknown as MethodDefinition<unknown, unknown>;
/** Nobody listens there, but no call gets an answer before the test is over. */
const DESTINATION = { address: '127.0.0.1:1', security: PLAINTEXT, what: 'leader', headers: new Metadata() };

let calls: PassedCalls;
afterEach(() => calls.stop());

/** What the caller of a call is told; null: nothing yet. */
interface Told {
  code: status | null;
  details?: string;
}

/** Passes on a call from this address; returns the status that its caller gets, once there is one. */
function pass(address: string, { cancels = [] as (() => void)[] } = {}): Told {
  const told: Told = { code: null };
  const call = {
    metadata: new Metadata(),
    getPeer: () => `${address}:1000`,
    getDeadline: () => Number.POSITIVE_INFINITY,
    sendMetadata: () => {},
    on: (_: 'cancelled', listener: () => void) => cancels.push(listener),
  };
  calls.unary(
    METHOD,
    call as never,
    (error) => {
      told.code = error?.code ?? status.OK;
      if (error?.details !== undefined) told.details = error.details;
    },
    { to: DESTINATION, request: Buffer.alloc(0), wrap: (bytes) => bytes },
  );
  return told;
}

function passMany(address: string, count: number): Told[] {
  return Array.from({ length: count }, () => pass(address));
}

describe('calls that are passed on', () => {
  // Limits: grpc/passed-calls.ts MAX_FORWARDED_CALLS, grpc/passed-calls.ts MAX_FORWARDED_CALLS_PER_PRINCIPAL
  // Causes: code grpc/passed-calls.ts RESOURCE_EXHAUSTED
  it('are so many of one address, and so many of all: then whoever has most gives way', () => {
    const limited: string[] = [];
    calls = new PassedCalls({}, { limited: ({ resource }) => limited.push(resource) });
    const ofOne = passMany('192.0.2.1', MAX_FORWARDED_CALLS_PER_PRINCIPAL);
    expect(ofOne.every(({ code }) => code === null)).toBe(true);
    expect(pass('192.0.2.1').code).toBe(status.RESOURCE_EXHAUSTED);
    expect(calls.size).toBe(MAX_FORWARDED_CALLS_PER_PRINCIPAL);
    const ofOther = passMany('192.0.2.2', MAX_FORWARDED_CALLS - calls.size);
    expect(calls.size).toBe(MAX_FORWARDED_CALLS);
    expect([...ofOne, ...ofOther].every(({ code }) => code === null)).toBe(true);
    expect(pass('192.0.2.3').code).toBeNull();
    expect(calls.size).toBe(MAX_FORWARDED_CALLS);
    const ended = [...ofOne, ...ofOther].filter(({ code }) => code !== null);
    const details = '2000 calls are being passed on already, or too many of yours: try again later.';
    expect(ended).toEqual([{ code: status.RESOURCE_EXHAUSTED, details }]);
    expect(calls.limits).toBe(limited.length);
    expect(new Set(limited)).toEqual(new Set(['calls passed on']));
  });

  it('end once, and leave their place to others, when they are cancelled', () => {
    calls = new PassedCalls({ max: 1, share: 1 });
    const cancels: (() => void)[] = [];
    const first = pass('192.0.2.1', { cancels });
    expect(pass('192.0.2.1').code).toBe(status.RESOURCE_EXHAUSTED);
    for (const cancel of [...cancels, ...cancels]) cancel();
    expect(first.code).toBe(status.CANCELLED);
    expect(calls.size).toBe(0);
    expect(pass('192.0.2.1').code).toBeNull();
    expect(calls.passed).toBe(2);
  });

  // Causes: code grpc/passed-calls.ts UNAVAILABLE
  it('end when the leader is another, those at its address excepted', () => {
    calls = new PassedCalls();
    const call = pass('192.0.2.1');
    calls.abortOthers(DESTINATION.address, 'another leads');
    expect(call.code).toBeNull();
    calls.abortOthers('127.0.0.1:2', 'another leads');
    expect(call.code).toBe(status.UNAVAILABLE);
    expect(calls.size).toBe(0);
  });
});
