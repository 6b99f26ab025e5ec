import { status } from '@grpc/grpc-js';
import type { OpenRouteResponse } from '@spanmesh/proto/v1/messaging';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { ApiError } from '@spanmesh/runtime/grpc/api-error';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClientStream } from './client-stream.ts';
import { CLIENT_HIGH_BYTES, CLIENT_IN_FLIGHT_BYTES, CLIENT_LIMIT_BYTES, CLIENT_STALL_MS } from './limits.ts';

/** A client that takes a message when the test says so. */
class SlowClient {
  readonly written: OpenRouteResponse[] = [];
  readonly clock = new FakeClock();
  stuck: ApiError | null = null;
  error: Error | null = null;
  ended = false;
  readonly stream: ClientStream;
  readonly #callbacks: ((error?: Error | null) => void)[] = [];

  constructor() {
    this.stream = new ClientStream(
      {
        write: (response, written) => {
          this.written.push(response);
          this.#callbacks.push(written);
          return true;
        },
        end: () => {
          this.ended = true;
        },
        emit: (_event, error) => {
          this.error = error;
          return true;
        },
      },
      {
        clock: this.clock,
        onStuck: (error) => {
          this.stuck = error;
        },
      },
    );
  }

  get inFlight(): number {
    return this.#callbacks.length;
  }

  take(): void {
    this.#callbacks.shift()?.();
  }

  say(n: number, bytes: number): void {
    this.stream.write({ opened: { node: undefined, link: String(n), dialect: 0, auxLimit: bytes } }, bytes);
  }

  get order(): number[] {
    return this.written.map(({ opened }) => Number(opened!.link));
  }
}

describe('the messages that wait for a client', () => {
  it('come in order and are counted right, whenever the client takes them', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.integer({ min: 1, max: 100_000 }), fc.constant('take' as const))), (steps) => {
        const client = new SlowClient();
        const waiting: number[] = [];
        let said = 0;
        for (const step of steps) {
          if (step === 'take') {
            if (client.inFlight > 0) waiting.shift();
            client.take();
          } else if (client.stream.bytes + step <= CLIENT_LIMIT_BYTES) {
            client.say(said++, step);
            waiting.push(step);
          }
          expect(client.stream.bytes).toBe(waiting.reduce((sum, bytes) => sum + bytes, 0));
        }
        while (client.inFlight > 0) client.take();
        expect(client.order).toEqual(Array.from({ length: said }, (_, i) => i));
        expect(client.stream.bytes).toBe(0);
        expect(client.clock.pending).toBe(0);
      }),
    );
  });

  // Limits: messaging/limits.ts CLIENT_IN_FLIGHT_BYTES
  it('are handed to gRPC only up to a limit', () => {
    const client = new SlowClient();
    for (let n = 0; n < 100; n++) client.say(n, 10_000);
    expect(client.inFlight).toBe(Math.ceil(CLIENT_IN_FLIGHT_BYTES / 10_000));
  });

  // Limits: messaging/limits.ts CLIENT_HIGH_BYTES
  it('make the pressure high, and low when half of the mark is gone', () => {
    const client = new SlowClient();
    let low = 0;
    client.stream.onceLow(() => low++);
    expect(low).toBe(1);
    for (let n = 0; client.stream.bytes <= CLIENT_HIGH_BYTES; n++) client.say(n, 10_000);
    expect(client.stream.isHigh).toBe(true);
    client.stream.onceLow(() => low++);
    while (client.stream.bytes >= CLIENT_HIGH_BYTES / 2) {
      expect(low).toBe(1);
      client.take();
    }
    expect(low).toBe(2);
    expect(client.stream.isHigh).toBe(false);
  });

  // Limits: messaging/limits.ts CLIENT_LIMIT_BYTES
  // Causes: code messaging/client-stream.ts RESOURCE_EXHAUSTED
  it('are bounded in bytes: RESOURCE_EXHAUSTED', () => {
    const client = new SlowClient();
    for (let n = 0; client.stuck === null; n++) client.say(n, 1_000_000);
    expect(client.stuck.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(client.stream.bytes).toBeLessThanOrEqual(CLIENT_LIMIT_BYTES + 1_000_000);
    let low = 0;
    client.stream.onceLow(() => low++);
    client.stream.fail(client.stuck);
    // Callers that wait for low pressure are called back at the end.
    expect(low).toBe(1);
    expect(client.error).toBe(client.stuck);
    client.say(99, 1);
    expect(client.order).not.toContain(99);
  });

  it('are bounded in time: RESOURCE_EXHAUSTED for a client that takes nothing', () => {
    const client = new SlowClient();
    client.say(0, 100);
    client.say(1, 100);
    client.clock.advance(CLIENT_STALL_MS - 1);
    client.take();
    client.clock.advance(CLIENT_STALL_MS - 1);
    expect(client.stuck).toBeNull();
    client.clock.advance(1);
    expect(client.stuck).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  });

  it('are all sent before the stream ends in order', () => {
    const client = new SlowClient();
    for (let n = 0; n < 30; n++) client.say(n, 10_000);
    client.stream.end();
    expect(client.order).toHaveLength(30);
    expect(client.ended).toBe(true);
    expect(client.clock.pending).toBe(0);
  });
});

describe('a client that has much to take', () => {
  it('has all in order, when thousands of messages have waited for it', () => {
    const client = new SlowClient();
    const count = 5000;
    for (let n = 0; n < count; n++) client.say(n, 1000);
    expect(client.stream.bytes).toBe(count * 1000);
    for (let taken = 1; taken <= count; taken++) {
      client.take();
      if (taken % 500 === 0) expect(client.stream.bytes).toBe((count - taken) * 1000);
    }
    expect(client.order).toEqual(Array.from({ length: count }, (_, n) => n));
    expect([client.inFlight, client.clock.pending, client.stream.isHigh]).toEqual([0, 0, false]);
    expect(client.stuck).toBeNull();
  });

  it('has nothing more after the end of its stream, and holds up nobody', () => {
    const client = new SlowClient();
    for (let n = 0; n < 60; n++) client.say(n, 10_000);
    expect(client.stream.isHigh).toBe(true);
    let low = 0;
    client.stream.onceLow(() => low++);
    client.stream.abandon();
    expect([client.stream.isHigh, low, client.clock.pending]).toEqual([false, 1, 0]);
    const { length } = client.written;
    client.stream.end();
    client.stream.fail(new ApiError(status.INTERNAL, 'late'));
    client.say(99, 1);
    client.take();
    expect([client.written.length, client.ended, client.error, client.clock.pending]).toEqual([length, false, null, 0]);
  });

  it('is said to read too slowly, with the bounds', () => {
    const [slow, stuck] = [new SlowClient(), new SlowClient()];
    slow.say(0, CLIENT_LIMIT_BYTES);
    expect(slow.stuck).toBeNull();
    slow.say(1, 1);
    expect(slow.stuck).toMatchObject({ details: 'More than 8388608 bytes wait for this client: read faster.' });
    stuck.say(0, 1);
    stuck.clock.advance(CLIENT_STALL_MS);
    expect(stuck.stuck).toMatchObject({
      details: 'This client has read nothing for 10000 ms while messages wait for it.',
    });
  });
});
