import { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { advance, settle } from '@spanmesh/runtime/fake-time.fixture';
import { ProtocolRule } from '@spanmesh/runtime/grpc/protocol-version';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { beforeEach, describe, expect, it } from 'vitest';
import { LinkGatewayError, type TrunkFault } from '../gateway-error.ts';
import {
  FIRST_BACKOFF_MS,
  LOG_INTERVAL_MS,
  LOST_BACKOFF_MS,
  MAX_BACKOFF_MS,
  OPEN_TIMEOUT_MS,
  UNREACHABLE_AFTER_MS,
} from './limits.ts';
import { PeerTrunk } from './peer-trunk.ts';
import { Tokens } from './tokens.ts';
import { FakeTerminal } from './trunk.fixture.ts';
import { TrunkMetrics } from './trunk-metrics.ts';
import { WindowShares } from './window-shares.ts';

let log: Record<string, unknown>[] = [];
const logger = createLogger({
  level: 'info',
  service: 'test',
  destination: { write: (line: string) => void log.push(JSON.parse(line)) },
});

describe('a trunk that cannot be opened', () => {
  let clock: FakeClock;
  let metrics: TrunkMetrics;
  let tokens: Tokens;
  let trunk: PeerTrunk;
  /** Times at which the other side was asked for a trunk, milliseconds. */
  let asked: number[];
  /** The fault that it answers with; null: it does not answer. */
  let answer: TrunkFault | null;
  /** The callbacks of the trunk, by name: changed, declaredDead, down. */
  let told: string[];
  beforeEach(() => {
    clock = new FakeClock();
    metrics = new TrunkMetrics();
    tokens = new Tokens(clock);
    asked = [];
    answer = 'unreachable';
    told = [];
    log = [];
    trunk = make('b.00000001');
  });

  function make(gateway: string): PeerTrunk {
    const terminal = new FakeTerminal();
    return new PeerTrunk(gateway, {
      self: () => 'a.00000001',
      clock,
      logger,
      metrics,
      tokens,
      terminal,
      destinations: terminal,
      flow: new Flow(),
      shares: new WindowShares({ sendLimit: 1 << 24 }),
      isProtected: false,
      flushLater: () => {},
      inSlices: (_gateway, job) => void [...job],
      random: () => 0,
      tls: null,
      protocol: new ProtocolRule({ own: 1 }, { logger, clock }),
      ask: (_address, _request, signal) => {
        asked.push(clock.now());
        if (answer !== null) return Promise.reject(new LinkGatewayError('trunk', { why: answer }));
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new LinkGatewayError('trunk', { why: 'timeout' })), {
            once: true,
          });
        });
      },
      changed: () => void told.push('changed'),
      declaredDead: () => void told.push('declared dead'),
      down: () => void told.push('down'),
    });
  }

  const use = () => trunk.route(1, 'circuit', null, 0);

  // Limits: trunk/limits.ts MAX_BACKOFF_MS
  it('is tried again soon at first, later and later once the other gateway is unreachable, every five seconds at last', async () => {
    trunk.listed('192.0.2.1:1');
    use();
    await advance(clock, 60_000);
    const pauses = asked.map((at, i) => at - (asked[i - 1] ?? at)).slice(1);
    const lost = pauses.filter((_, i) => asked[i]! < UNREACHABLE_AFTER_MS);
    expect(pauses[0]).toBe(FIRST_BACKOFF_MS);
    expect(Math.max(...lost.slice(0, -1))).toBe(LOST_BACKOFF_MS);
    expect(pauses.slice(-3)).toEqual([MAX_BACKOFF_MS, MAX_BACKOFF_MS, MAX_BACKOFF_MS]);
    expect(Math.max(...pauses)).toBe(MAX_BACKOFF_MS);
    expect(metrics.lost['not-opened']).toBe(asked.length);
  });

  it('is reported as unreachable once, after two seconds, and takes no route meanwhile', async () => {
    trunk.listed('192.0.2.1:1');
    expect(use()).not.toBeNull();
    await advance(clock, UNREACHABLE_AFTER_MS - 1);
    expect([trunk.isUnreachable, told.includes('changed'), use()]).toEqual([false, false, null]);
    await advance(clock, 1);
    expect([trunk.isUnreachable, told.filter((one) => one === 'changed')]).toEqual([true, ['changed']]);
    await advance(clock, 60_000);
    expect(told.filter((one) => one === 'changed')).toHaveLength(1);
  });

  it('is tried at once at a new address, and not at an empty one', async () => {
    trunk.listed('192.0.2.1:1');
    use();
    await advance(clock, 30_000);
    const before = asked.length;
    trunk.listed('192.0.2.1:1');
    expect(asked).toHaveLength(before);
    trunk.listed('192.0.2.2:1');
    expect(asked).toHaveLength(before + 1);
    await advance(clock, FIRST_BACKOFF_MS);
    expect(asked).toHaveLength(before + 2);
    trunk.listed('');
    await advance(clock, 60_000);
    expect(asked.length).toBeLessThanOrEqual(before + 3);
  });

  it('is not tried where topology names no address', async () => {
    expect(use()).toBeNull();
    expect([trunk.kind, trunk.isListed]).toEqual(['idle', false]);
    trunk.listed('');
    expect([use(), trunk.kind, trunk.isListed]).toEqual([null, 'down', true]);
    await advance(clock, UNREACHABLE_AFTER_MS);
    expect([asked, trunk.isUnreachable]).toEqual([[], true]);
  });

  it('is given up when the other side does not answer in time', async () => {
    answer = null;
    trunk.listed('192.0.2.1:1');
    const route = use();
    await advance(clock, OPEN_TIMEOUT_MS - 1);
    expect([trunk.kind, trunk.openCount, route?.ended]).toEqual(['opening', 1, false]);
    await advance(clock, 1);
    expect([trunk.kind, trunk.openCount, route?.ended]).toEqual(['down', 0, true]);
    // No timer of the attempt is left, only those of the next attempt and of becoming unreachable.
    expect(clock.pending).toBe(2);
  });

  it('is left to the other side if that opens one, too, and expected for a limited time', async () => {
    answer = 'already-exists';
    trunk.listed('192.0.2.1:1');
    use();
    await settle();
    expect(trunk.kind).toBe('expecting');
    await advance(clock, OPEN_TIMEOUT_MS - 1);
    expect(trunk.kind).toBe('expecting');
    await advance(clock, 1);
    expect(trunk.kind).toBe('down');
  });

  it('reports that the other side knows this gateway as dead', async () => {
    answer = 'declared-dead';
    trunk.listed('192.0.2.1:1');
    use();
    await settle();
    expect(told).toContain('declared dead');
  });

  it('closes for good: nothing of it is left, and it is not opened again', async () => {
    answer = null;
    trunk.listed('192.0.2.1:1');
    const route = use();
    trunk.close('gone');
    trunk.close('gone');
    await settle();
    expect([trunk.kind, route?.ended, trunk.isListed, use()]).toEqual(['closed', true, false, null]);
    expect([metrics.lost.gone, tokens.size, clock.pending]).toEqual([1, 0, 0]);
    expect(() => trunk.asked()).toThrow(expect.objectContaining({ data: { why: 'stopping' } }));
    trunk.listed('192.0.2.2:1');
    await advance(clock, 60_000);
    expect(asked).toHaveLength(1);
  });

  it('does not count as unreachable any more once it is closed or this gateway has another id', async () => {
    trunk.listed('192.0.2.1:1');
    use();
    await advance(clock, 30_000);
    expect(trunk.isUnreachable).toBe(true);
    trunk.close('gone');
    expect([trunk.isUnreachable, clock.pending]).toEqual([false, 0]);
  });

  it('is in the log once in a while, with the reason', async () => {
    trunk.listed('192.0.2.1:1');
    use();
    await advance(clock, 1000);
    expect(asked.length).toBeGreaterThan(2);
    expect(log).toMatchObject([
      { level: 'warn', msg: 'trunk cannot be opened', peer: 'b.00000001', reason: 'not-opened', error: 'unreachable' },
    ]);
    await advance(clock, LOG_INTERVAL_MS + MAX_BACKOFF_MS);
    expect(log).toHaveLength(2);
    expect(log[1]?.suppressed).toBeGreaterThan(1);
  });

  it('is in the log as closed when that is meant, and as stopping whatever ends it then', async () => {
    answer = null;
    trunk.listed('192.0.2.1:1');
    use();
    trunk.finish();
    await settle();
    expect([trunk.kind, metrics.lost.stopping, metrics.lost['not-opened']]).toEqual(['closed', 1, 0]);
    expect(log).toMatchObject([{ level: 'info', msg: 'trunk closed', reason: 'stopping' }]);
    expect([clock.pending, told]).toEqual([0, []]);
  });

  it('under another id of this gateway is as new: nothing waits, and the next use opens it at once', async () => {
    trunk.renamed();
    expect([trunk.kind, told]).toEqual(['idle', []]);
    answer = null;
    trunk.listed('192.0.2.1:1');
    const route = use();
    trunk.renamed();
    await settle();
    expect([trunk.kind, route?.ended, told, clock.pending]).toEqual(['idle', true, ['changed', 'down'], 0]);
    expect([metrics.lost.renamed, metrics.lost['not-opened'], trunk.openCount]).toEqual([1, 0, 0]);
    expect([trunk.queuedBytes, trunk.traffic, trunk.isEstablished]).toEqual([0, null, false]);
    expect(use()).not.toBeNull();
    expect(asked).toHaveLength(2);
  });

  it('is expected no longer than OPEN_TIMEOUT_MS, and then is down if somebody waits for it', async () => {
    answer = null;
    trunk = make('0.00000001');
    trunk.listed('192.0.2.1:1');
    const route = use();
    await advance(clock, 100);
    trunk.asked();
    expect([trunk.kind, trunk.openCount, trunk.queuedBytes > 0]).toEqual(['expecting', 1, true]);
    await advance(clock, OPEN_TIMEOUT_MS - 1);
    expect([trunk.kind, use() === route]).toEqual(['expecting', true]);
    await advance(clock, 1);
    expect([trunk.kind, route?.ended, use()]).toEqual(['down', true, null]);
    expect(log).toMatchObject([{ error: 'timeout', why: 'the other side did not connect' }]);
    expect(metrics.lost['not-opened']).toBe(1);
  });

  describe('that the other side asks for', () => {
    it('has a token, one at a time, and is expected for a limited time', async () => {
      const first = trunk.asked();
      const second = trunk.asked();
      expect([trunk.kind, tokens.size]).toEqual(['expecting', 1]);
      expect([tokens.redeem(first), tokens.redeem(second)]).toEqual([null, 'b.00000001']);
      await advance(clock, OPEN_TIMEOUT_MS);
      // No route waited for the trunk.
      expect([trunk.kind, told]).toEqual(['idle', ['down']]);
      expect(clock.pending).toBe(0);
    });

    it.each([
      ['b.00000001', 'opening'],
      ['0.00000001', 'expecting'],
    ])('while we open one: that of the smaller id stays (we are a, the other side is %s)', async (gateway, kind) => {
      answer = null;
      trunk = make(gateway);
      trunk.listed('192.0.2.1:1');
      const route = use();
      if (kind === 'opening')
        expect(() => trunk.asked()).toThrow(expect.objectContaining({ data: { why: 'already-exists' } }));
      else trunk.asked();
      await settle();
      expect([trunk.kind, route?.ended]).toEqual([kind, false]);
    });

    it('has its earlier token revoked when we open a trunk ourselves', async () => {
      answer = null;
      const token = trunk.asked();
      await advance(clock, OPEN_TIMEOUT_MS);
      trunk.listed('192.0.2.1:1');
      use();
      expect(tokens.redeem(token)).toBeNull();
    });
  });
});
