import { EventEmitter } from 'node:events';
import type { ServerWritableStream } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { CaptureMessagesRequest, type CaptureMessagesResponse } from '@spanmesh/proto/v1/capture';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import type { ApiError } from '@spanmesh/runtime/grpc/api-error';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Connection } from '../connection/connection.ts';
import { MAX_CAPTURES } from '../limits.ts';
import { Captures } from './captures.ts';

/** The server's end of a call that captures the messages of a connection. */
class FakeCall extends EventEmitter {
  readonly request: CaptureMessagesRequest;
  readonly parts: CaptureMessagesResponse[] = [];
  error: ApiError | null = null;

  constructor(connection: number) {
    super();
    this.request = CaptureMessagesRequest.fromPartial({ connection, by: 'ann' });
    this.on('error', (error: ApiError) => {
      this.error = error;
    });
  }

  write(part: CaptureMessagesResponse): boolean {
    this.parts.push(part);
    return true;
  }

  end(): void {}
  destroy(): void {}

  get ended(): string {
    return this.parts.at(-1)?.ended ?? '';
  }
}

describe('the captures of a gateway', () => {
  let connections: Map<number, { connection: Connection }>;
  let captures: Captures;
  let log: Record<string, unknown>[];
  beforeEach(() => {
    const of = (id: number) =>
      ({ id, remote: `192.0.2.${id}:1`, dialect: 'circuit', tap: null }) as unknown as Connection;
    connections = new Map(Array.from({ length: MAX_CAPTURES + 1 }, (_, n) => [n + 1, { connection: of(n + 1) }]));
    log = [];
    const logger = createLogger({
      level: 'info',
      service: 'test',
      destination: { write: (line: string) => void log.push(JSON.parse(line)) },
    });
    captures = new Captures(connections, { clock: new FakeClock(), logger });
  });

  function begin(connection: number): FakeCall {
    const call = new FakeCall(connection);
    const server = call as unknown as ServerWritableStream<CaptureMessagesRequest, CaptureMessagesResponse>;
    captures.implementation.captureMessages(server);
    return call;
  }

  it('are one a connection and MAX_CAPTURES in all; others are refused, with the reason', () => {
    const calls = Array.from({ length: MAX_CAPTURES }, (_, n) => begin(n + 1));
    expect([calls.every(({ error }) => error === null), captures.running]).toEqual([true, MAX_CAPTURES]);
    const exhausted = { code: status.RESOURCE_EXHAUSTED };
    expect(begin(1).error).toMatchObject({
      ...exhausted,
      details: 'That connection is being captured already: one at a time.',
    });
    expect(begin(MAX_CAPTURES + 1).error).toMatchObject({
      ...exhausted,
      details: `${MAX_CAPTURES} captures run on this gateway already.`,
    });
    expect(begin(99).error).toMatchObject({ code: status.NOT_FOUND, details: 'That connection has ended.' });
    calls[0]?.emit('cancelled');
    expect(captures.running).toBe(MAX_CAPTURES - 1);
    expect(begin(MAX_CAPTURES + 1).error).toBeNull();
  });

  it('end with their own connection, and all with the gateway', () => {
    const [one, two, three] = [begin(1), begin(2), begin(3)];
    const connection = connections.get(2)?.connection;
    if (connection !== undefined) captures.gone(connection, 'silent');
    expect([one.ended, two.ended, three.ended]).toEqual(['', 'the connection has ended: silent', '']);
    expect(captures.running).toBe(2);
    captures.stop();
    expect([one.ended, three.ended, captures.running]).toEqual(['the gateway stops', 'the gateway stops', 0]);
  });

  it('are in the log, with who has ordered them and what they have had', () => {
    begin(1).emit('cancelled');
    expect(log).toMatchObject([
      { level: 'info', connection: 1, peer: '192.0.2.1:1', by: 'ann', msg: 'connection is being captured, by order' },
      { level: 'info', connection: 1, peer: '192.0.2.1:1', messages: 0, dropped: 0, msg: 'capture has ended' },
    ]);
  });

  it('leave faults of the program to gRPC', () => {
    connections.get = () => {
      throw new Error('a fault');
    };
    expect(() => begin(1)).toThrow('a fault');
  });
});
