import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { SettingError } from '@spanmesh/runtime/settings/setting';
import type { PoolLimit } from '@spanmesh/runtime/shares/pool';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LOG_INTERVAL_MS, MAX_UNAUTHENTICATED, TOKEN_BYTES, UNAUTHENTICATED_MS } from './limits.ts';
import { Tokens } from './tokens.ts';
import { TrunkListener } from './trunk-listener.ts';
import { TrunkMetrics } from './trunk-metrics.ts';

let log: Record<string, unknown>[] = [];
const logger = createLogger({
  level: 'info',
  service: 'test',
  destination: { write: (line: string) => void log.push(JSON.parse(line)) },
});

describe('the port for other gateways', () => {
  let clock: FakeClock;
  let tokens: Tokens;
  let metrics: TrunkMetrics;
  let listener: TrunkListener;
  let port: number;
  let accepted: { gateway: string; socket: Socket; rest: string }[];
  let sockets: Socket[];
  let limited: PoolLimit[];
  beforeEach(async () => {
    clock = new FakeClock();
    tokens = new Tokens(clock);
    metrics = new TrunkMetrics();
    accepted = [];
    sockets = [];
    limited = [];
    log = [];
    listener = make('127.0.0.1');
    port = await listener.start();
  });
  afterEach(() => {
    listener.stop();
    for (const socket of [...sockets, ...accepted.map(({ socket }) => socket)]) socket.destroy();
  });

  function make(host: string): TrunkListener {
    return new TrunkListener(
      { listen: { host, port: 0 }, setting: 'TEST' },
      {
        clock,
        logger,
        tokens,
        tls: null,
        metrics,
        limited: (limit) => void limited.push(limit),
        accepted: (gateway, socket, rest) => void accepted.push({ gateway, socket, rest: String(rest) }),
      },
    );
  }

  async function dial(localAddress = '127.0.0.1'): Promise<{ socket: Socket; closed: Promise<unknown> }> {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    socket.on('error', () => {}).resume();
    sockets.push(socket);
    // Closed in order or not.
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    await once(socket, 'connect');
    return { socket, closed };
  }

  // Limits: trunk/limits.ts MAX_UNAUTHENTICATED
  it('waits for the tokens of a limited number of connections, and closes further ones at once', async () => {
    const waiting = await Promise.all(Array.from({ length: MAX_UNAUTHENTICATED }, () => dial()));
    await expect.poll(() => listener.unauthenticated).toBe(MAX_UNAUTHENTICATED);
    expect(metrics.tokensRefused).toBe(0);
    await (await dial()).closed;
    expect([listener.unauthenticated, metrics.tokensRefused]).toEqual([MAX_UNAUTHENTICATED, 1]);
    // The time of the waiting connections is over: there is room again.
    clock.advance(UNAUTHENTICATED_MS);
    await Promise.all(waiting.map(({ closed }) => closed));
    await expect.poll(() => listener.unauthenticated).toBe(0);
    expect([clock.pending, metrics.tokensRefused]).toEqual([0, 1 + MAX_UNAUTHENTICATED]);
    await dial();
    await expect.poll(() => listener.unauthenticated).toBe(1);
  });

  it('of one address that has them all gives way to one of another address, and is named', async () => {
    const waiting = await Promise.all(Array.from({ length: MAX_UNAUTHENTICATED }, () => dial('127.0.0.66')));
    await expect.poll(() => listener.unauthenticated).toBe(MAX_UNAUTHENTICATED);
    const { socket } = await dial();
    await Promise.race(waiting.map(({ closed }) => closed));
    socket.write(tokens.issue('b.00000001')!);
    await expect.poll(() => accepted.length).toBe(1);
    const resource = 'trunk connections without a token';
    expect(limited).toMatchObject([{ resource, bound: 'total', principal: '127.0.0.66' }]);
    expect([metrics.tokensRefused, listener.unauthenticated]).toEqual([1, MAX_UNAUTHENTICATED - 1]);
  });

  it('hands a connection on with what came after its token, and counts it no more', async () => {
    const { socket } = await dial();
    socket.write(Buffer.concat([tokens.issue('b.00000001')!, Buffer.from('more')]));
    await expect.poll(() => accepted.length).toBe(1);
    expect(accepted[0]).toMatchObject({ gateway: 'b.00000001', rest: 'more' });
    expect([listener.unauthenticated, clock.pending, tokens.size]).toEqual([0, 0, 0]);
    listener.stop();
    expect(accepted[0]?.socket.destroyed).toBe(false);
  });

  it('forgets connections that the peer closes, and closes those that wait when it stops', async () => {
    const { socket } = await dial();
    await expect.poll(() => listener.unauthenticated).toBe(1);
    socket.end();
    await expect.poll(() => listener.unauthenticated).toBe(0);
    const { closed } = await dial();
    await expect.poll(() => listener.unauthenticated).toBe(1);
    listener.stop();
    await closed;
  });

  it('listens only on the loopback without certificates', async () => {
    await expect(make('0.0.0.0').start()).rejects.toThrow(SettingError);
  });

  it('refuses what shows no token that was given out, or none in time, and says so once in a while', async () => {
    const wrong = await dial();
    wrong.socket.write(Buffer.alloc(TOKEN_BYTES + 1));
    await wrong.closed;
    expect([metrics.tokensRefused, listener.unauthenticated, clock.pending, accepted]).toEqual([1, 0, 0, []]);
    const msg = 'trunk refused: what connects here is no gateway';
    const line = { level: 'warn', msg, peer: '127.0.0.1', why: 'no token that was given out' };
    expect(log).toMatchObject([line]);
    const again = await dial();
    again.socket.write(Buffer.alloc(TOKEN_BYTES));
    await again.closed;
    expect([metrics.tokensRefused, log.length]).toEqual([2, 1]);
    const late = await dial();
    late.socket.write(Buffer.alloc(TOKEN_BYTES - 1));
    await expect.poll(() => listener.unauthenticated).toBe(1);
    clock.advance(UNAUTHENTICATED_MS - 1);
    expect(metrics.tokensRefused).toBe(2);
    clock.advance(1);
    await late.closed;
    expect([metrics.tokensRefused, clock.pending]).toEqual([3, 0]);
    expect(log).toMatchObject([line, { ...line, why: 'no token has come' }]);
    clock.advance(LOG_INTERVAL_MS);
    const last = await dial();
    last.socket.write(Buffer.alloc(TOKEN_BYTES));
    await last.closed;
    expect(log[2]).toMatchObject({ ...line, suppressed: 1 });
  });

  it('takes a token that comes in two pieces, and gives the connection to its gateway alone', async () => {
    const token = tokens.issue('b.00000001') ?? Buffer.alloc(0);
    const { socket } = await dial();
    socket.setNoDelay(true).write(token.subarray(0, 10));
    await expect.poll(() => listener.unauthenticated).toBe(1);
    socket.write(Buffer.concat([token.subarray(10), Buffer.from('x')]));
    await expect.poll(() => accepted.length).toBe(1);
    const [{ gateway, rest, socket: taken } = { gateway: '', rest: '', socket }] = accepted;
    expect([gateway, rest, taken.listenerCount('data'), taken.listenerCount('close')]).toEqual([
      ...['b.00000001', 'x', 0],
      ...[0],
    ]);
  });

  it('is given to nobody else: the setting is named', async () => {
    const taken = new TrunkListener(
      { listen: { host: '127.0.0.1', port }, setting: 'TEST' },
      { clock, logger, tokens, tls: null, metrics, limited() {}, accepted() {} },
    );
    await expect(taken.start()).rejects.toThrow(/^TEST: /);
    await expect(make('0.0.0.0').start()).rejects.toThrow('without certificates only the loopback may be used');
  });
});
