import type { sendUnaryData } from '@grpc/grpc-js';
import { ProcessInfo } from '@spanmesh/proto/v1/process';
import { OrderLogLevelRequest, OrderLogLevelResponse, ProcessOrdersService } from '@spanmesh/proto/v1/process_orders';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { PLAINTEXT } from '../grpc/grpc-client.ts';
import { GrpcServer } from '../grpc/grpc-server.ts';
import { createLogger } from '../log/logger.ts';
import { OrderSender } from './order-sender.ts';

const logger = createLogger({ level: 'silent', service: 'test' });
const REQUEST = OrderLogLevelRequest.fromPartial({ order: { level: 'debug' }, by: 'ann' });

type Asked = sendUnaryData<OrderLogLevelResponse>;

describe('orders to other processes', () => {
  let server: GrpcServer;
  let address: string;
  let clock: FakeClock;
  let sender: OrderSender;
  /** Orders that wait until the test answers them. */
  let asked: Asked[];
  let waiting: (() => void)[];
  beforeEach(async () => {
    asked = [];
    waiting = [];
    clock = new FakeClock();
    server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
    server.addService(ProcessOrdersService, {
      orderLogLevel: (_: unknown, done: Asked) => {
        asked.push(done);
        for (const wake of waiting.splice(0)) wake();
      },
    } as never);
    address = `127.0.0.1:${await server.start()}`;
    sender = new OrderSender({ clock, security: () => PLAINTEXT });
  });
  afterEach(() => server.stop(0));

  async function askedTimes(times: number): Promise<void> {
    while (asked.length < times) await new Promise<void>((resolve) => waiting.push(resolve));
  }

  function obey(done: Asked): void {
    done(null, OrderLogLevelResponse.fromPartial({ process: { id: 'obeyed' } }));
  }

  function processes(count: number, more: Partial<ProcessInfo> = {}): ProcessInfo[] {
    const info = { service: 'topology', serviceAddress: address, ...more };
    return Array.from({ length: count }, (_, i) => ProcessInfo.fromPartial({ ...info, id: `p-${i}` }));
  }

  // Limits: process/order-sender.ts MAX_AT_A_TIME
  it('go to 64 processes at a time, and to the next one when one has obeyed', async () => {
    const sent = sender.send(REQUEST, processes(65));
    await askedTimes(64);
    // Each process that is waited for has a timer.
    expect(clock.pending).toBe(64);
    obey(asked[0]!);
    await askedTimes(65);
    for (const done of asked.slice(1)) obey(done);
    expect(await sent).toMatchObject({ obeyed: Array.from({ length: 65 }, () => ({ id: 'obeyed' })), unreached: [] });
    expect(clock.pending).toBe(0);
  });

  it('are given up after two seconds without an answer', async () => {
    const [silent] = processes(1);
    const sent = sender.send(REQUEST, [silent!]);
    await askedTimes(1);
    expect([clock.pending, clock.nextAt()]).toEqual([1, 2000]);
    clock.advance(2000);
    expect(await sent).toEqual({ obeyed: [], unreached: [silent] });
  });

  it('are not sent after eight seconds', async () => {
    const many = processes(65);
    const sent = sender.send(REQUEST, many);
    await askedTimes(64);
    clock.advance(8000);
    expect((await sent).unreached).toHaveLength(65);
    expect(asked).toHaveLength(64);
  });

  it.each([
    ['is no service that we know', { service: 'x' }],
    ['says no address', { serviceAddress: '' }],
    ['says an address that is none', { serviceAddress: 'x' }],
  ])('do not go to a process that %s', async (_, more) => {
    const others = processes(1, more);
    expect(await sender.send(REQUEST, others)).toEqual({ obeyed: [], unreached: others });
    expect(asked).toEqual([]);
  });

  it('count as not obeyed when the answer is an error', async () => {
    const others = processes(1);
    const sent = sender.send(REQUEST, others);
    await askedTimes(1);
    asked[0]!({ code: 7, details: 'no' });
    expect(await sent).toEqual({ obeyed: [], unreached: others });
    expect(clock.pending).toBe(0);
  });
});
