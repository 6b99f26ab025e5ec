import { connect } from 'node:net';
import { BLK_READ, DELETE, LNK_PING } from '@spanmesh/dmsg/command';
import { Metrics } from '@spanmesh/runtime/metrics';
import { samples } from '@spanmesh/runtime/metrics.fixture';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LinkGatewayError } from '../gateway-error.ts';
import { MAX_DEAD_GATEWAYS } from '../limits.ts';
import { registerOpenMetrics } from '../register-open-metrics.ts';
import {
  MAX_TRUNKS,
  QUEUE_HIGH_BYTES,
  TOKEN_BYTES,
  UNAUTHENTICATED_MS,
  WAITING_LIMIT_BYTES,
  WINDOW_BYTES,
} from './limits.ts';
import { drop, isEnd, LOSTLINK, TestPair, turns, Wire } from './trunk.fixture.ts';

const DISCARDED = { onMessage() {}, onLost() {} };

describe('trunks between two gateways', () => {
  let pair: TestPair;

  beforeEach(async () => {
    pair = await new TestPair().start();
  });
  afterEach(() => pair.stop());

  const established = async (link = 1) => {
    const route = pair.route(link);
    await until(() => pair.b.terminal.opened.length > 0);
    return route;
  };

  describe('opening', () => {
    it('opens a trunk on first use, and delivers messages sent before it was established in order', async () => {
      const route = pair.route(7, 'circuit');
      for (let n = 0; n < 3; n++) route.endpoint.oneWay(LNK_PING, n, null, null, route);
      const tx = route.endpoint.open(BLK_READ, route, DISCARDED, new Uint8Array([9]), 0, new Uint8Array(100).fill(3));
      route.endpoint.send(tx, BLK_READ);
      await until(() => pair.b.terminal.heard.length === 5);
      const { opened, heard } = pair.b.terminal;
      expect(opened.map(({ link, dialect, source }) => [link, dialect, source])).toEqual([[7, 'circuit', null]]);
      expect(heard.map(({ what, error }) => [what, error])).toEqual([
        ['one-way', 0],
        ['one-way', 1],
        ['one-way', 2],
        ['open', 0],
        ['message', 0],
      ]);
      expect([heard[3]!.bytes[64], heard[3]!.bytes[128 + 99], heard[3]!.bytes.length]).toEqual([9, 3, 256]);
      expect(pair.a.trunks.counts()).toMatchObject({ trunks: 1, established: 1, routes: 1 });
    });

    it('keeps one route for each link, dialect, source and destination', async () => {
      const source = { gateway: '', number: 5, payload: new Uint8Array(384).fill(4) };
      const first = pair.route(1, 'linkid', source, 9);
      expect(pair.route(1, 'linkid', { ...source }, 9)).toBe(first);
      const others = [
        pair.route(2, 'linkid', source, 9),
        pair.route(1, 'circuit', source, 9),
        pair.route(1, 'linkid', { ...source, number: 6 }, 9),
        pair.route(1, 'linkid', null, 9),
        pair.route(1, 'linkid', source, 8),
      ];
      expect(new Set([first, ...others]).size).toBe(6);
      await until(() => pair.b.terminal.opened.length === 6);
      expect(pair.b.terminal.opened[0]!.source).toEqual({
        gateway: 'a.00000001',
        number: 5,
        payload: source.payload,
      });
    });

    it('ends a route to a link that is gone', async () => {
      const route = pair.route(1000);
      await until(() => pair.a.terminal.ended.length === 1);
      expect(pair.a.terminal.ended).toEqual([route]);
      expect([pair.b.terminal.opened, pair.b.terminal.ended]).toEqual([[], []]);
      await until(() => pair.b.trunks.counts().transactions === 0);
      expect(pair.route(1000)).not.toBe(route);
    });

    it('makes one trunk of two opened at the same time, and loses no message', async () => {
      const open = Promise.withResolvers<void>();
      pair.a.hold = open.promise;
      pair.b.hold = open.promise;
      const there = pair.route(1);
      const back = pair.b.trunks.route({ gateway: pair.a.id, number: 2 }, 'circuit', null)!;
      there.endpoint.oneWay(LNK_PING, 0, null, null, there);
      back.endpoint.oneWay(LNK_PING, 0, null, null, back);
      open.resolve();
      await until(() => pair.a.terminal.heard.length === 1 && pair.b.terminal.heard.length === 1);
      await turns();
      expect([pair.a.asked, pair.b.asked]).toEqual([1, 1]);
      expect([pair.a.trunks.metrics.opened, pair.b.trunks.metrics.opened]).toEqual([1, 1]);
      expect([pair.a.terminal.ended, pair.b.terminal.ended]).toEqual([[], []]);
    });

    it('leaves opening to the other side if that has a token already', async () => {
      const held = Promise.withResolvers<void>();
      pair.b.hold = held.promise;
      const back = pair.b.trunks.route({ gateway: pair.a.id, number: 2 }, 'circuit', null)!;
      held.resolve();
      await until(() => pair.a.trunks.counts().trunks === 1 && pair.a.trunks.counts().tokens === 1);
      pair.route(1);
      await until(() => pair.b.terminal.opened.length === 1 && pair.a.terminal.opened.length === 1);
      expect([pair.a.asked, pair.b.asked, back.rxDeleted]).toEqual([0, 1, false]);
    });

    it('refuses a route to a gateway that topology has not named', () => {
      expect(pair.a.trunks.route({ gateway: 'c.00000003', number: 1 }, 'circuit', null)).toBeNull();
    });

    // Limits: trunk/limits.ts MAX_TRUNKS
    it('knows a bounded number of other gateways, and has no trunk to one more until another is gone', () => {
      const named = (n: number) => ({ gateway: `g${n}.00000003`, serviceAddress: '192.0.2.1:1' });
      // It knows one gateway already.
      pair.a.trunks.listed(Array.from({ length: MAX_TRUNKS - 1 }, (_, n) => named(n)));
      expect(pair.a.trunks.counts().trunks).toBe(MAX_TRUNKS);
      pair.a.trunks.listed([named(MAX_TRUNKS)]);
      expect(pair.a.trunks.counts().trunks).toBe(MAX_TRUNKS);
      expect(pair.a.trunks.route({ gateway: named(MAX_TRUNKS).gateway, number: 1 }, 'circuit', null)).toBeNull();
      pair.a.trunks.gone([named(0).gateway]);
      pair.a.trunks.listed([named(MAX_TRUNKS)]);
      expect(pair.a.trunks.counts().trunks).toBe(MAX_TRUNKS);
    });

    // Limits: trunk/limits.ts WAITING_LIMIT_BYTES
    // Causes: metric spanmesh_gateway_trunk_queued_bytes
    it('queues messages up to a limit while the trunk is opened, and refuses new users beyond it', async () => {
      pair.a.hold = new Promise(() => {});
      const route = pair.route(1);
      const aux = new Uint8Array(1024 * 1024);
      for (let i = 0; i < WAITING_LIMIT_BYTES / aux.length; i++) {
        expect(pair.a.trunks.route({ gateway: pair.b.id, number: 2 + i }, 'circuit', null)).not.toBeNull();
        route.endpoint.oneWay(BLK_READ, 0, null, aux, route);
      }
      expect(pair.a.trunks.route({ gateway: pair.b.id, number: 90 }, 'circuit', null)).toBeNull();
      expect(route.data.isHigh).toBe(true);
      const metrics = new Metrics();
      registerOpenMetrics(metrics, { tables: () => ({}), queuedBytes: 0, trunks: pair.a.trunks });
      expect((await samples(metrics)).gateway_trunk_queued_bytes).toBeGreaterThanOrEqual(WAITING_LIMIT_BYTES);
    });

    // Causes: metric spanmesh_gateway_trunk_ignored_messages_total
    it('counts what means nothing on a trunk', async () => {
      const route = await established();
      route.endpoint.oneWay(BLK_READ);
      route.endpoint.oneWay(LNK_PING, 0, null, null, route);
      await until(() => pair.b.terminal.heard.length === 1);
      expect(pair.b.trunks.metrics.ignoredMessages).toBe(1);
    });
  });

  describe('tokens', () => {
    const dial = (port: number) => {
      const socket = connect({ port, host: '127.0.0.1' });
      socket.on('error', () => {});
      const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
      return { socket, closed };
    };
    const ask = () => pair.b.trunks.openTrunk({ from: 'c.00000003', to: pair.b.id, version: 1 });
    const portOf = (address: string) => Number(address.slice(1));

    // Causes: metric spanmesh_gateway_trunk_tokens_refused_total
    it('closes a connection with a wrong token', async () => {
      const { address } = ask();
      const { socket, closed } = dial(portOf(address));
      socket.write(Buffer.alloc(TOKEN_BYTES));
      await closed;
      expect(pair.b.trunks.metrics.tokensRefused).toBe(1);
      expect(pair.b.trunks.counts()).toMatchObject({ tokens: 1, unauthenticated: 0 });
    });

    it('closes a connection that sends no token in time', async () => {
      const { socket, closed } = dial(portOf(ask().address));
      socket.write(Buffer.alloc(TOKEN_BYTES - 1));
      await until(() => pair.b.trunks.counts().unauthenticated === 1);
      pair.clock.advance(UNAUTHENTICATED_MS);
      await closed;
      expect(pair.b.trunks.counts().unauthenticated).toBe(0);
    });

    // Limits: trunk/limits.ts TOKEN_BYTES
    it('takes a token once, however it is split over reads', async () => {
      const { address, token } = ask();
      const first = dial(portOf(address));
      for (const byte of token) first.socket.write(Buffer.of(byte));
      await until(() => pair.b.trunks.counts().established === 1);
      const second = dial(portOf(address));
      second.socket.write(token);
      await second.closed;
      expect(pair.b.trunks.counts().established).toBe(1);
      first.socket.destroy();
      await until(() => pair.b.trunks.counts().trunks === 1);
    });

    it('takes only the last token given to a gateway, and none after its time', async () => {
      const old = ask();
      const late = ask();
      const first = dial(portOf(old.address));
      first.socket.write(old.token);
      await first.closed;
      pair.clock.advance(10_000);
      const second = dial(portOf(late.address));
      await until(() => pair.b.trunks.counts().unauthenticated === 1);
      second.socket.write(late.token);
      await second.closed;
      expect(pair.b.trunks.metrics.tokensRefused).toBe(2);
    });

    it('refuses calls for another boot, of another version, and from something that is no gateway', () => {
      const code = (request: { from: string; to: string; version: number }) => {
        try {
          pair.b.trunks.openTrunk(request);
          return null;
        } catch (error) {
          return (error as LinkGatewayError<'trunk'>).data.why;
        }
      };
      expect(code({ from: 'a.00000001', to: 'b.00000001', version: 1 })).toBe('not-this-gateway');
      expect(code({ from: 'a.00000001', to: pair.b.id, version: 3 })).toBe('version');
      expect(code({ from: 'A!', to: pair.b.id, version: 1 })).toBe('invalid');
      expect(code({ from: pair.b.id, to: pair.b.id, version: 1 })).toBe('invalid');
    });
  });

  describe('credits', () => {
    const KIB64 = new Uint8Array(64 * 1024);

    // Causes: metric spanmesh_gateway_trunk_credit_waits_total, spanmesh_gateway_trunk_credits_sent_total
    it('slow one destination down without the others', async () => {
      const slow = await established(1);
      const fast = pair.route(2);
      await until(() => pair.b.terminal.opened.length === 2);
      pair.b.terminal.pressureOfConnection(101).isHigh = true;
      await until(() => [slow, fast].every((route) => route.rxCreated));
      const pressure = slow.data;
      let sent = 0;
      while (!pressure.isHigh) {
        slow.endpoint.oneWay(BLK_READ, 0, null, KIB64, slow);
        sent++;
      }
      // One message may overdraw the window.
      expect(sent).toBe(Math.ceil(WINDOW_BYTES / (KIB64.length + 128)));
      let low = 0;
      pressure.onceLow(() => low++);
      const other = fast.data;
      for (let i = 0; i < 40; i++) {
        await until(() => !other.isHigh);
        fast.endpoint.oneWay(BLK_READ, 0, null, KIB64, fast);
      }
      await until(() => pair.b.terminal.messages === sent + 40);
      expect([low, pressure.isHigh]).toEqual([0, true]);
      pair.b.terminal.pressureOfConnection(101).low();
      await until(() => low === 1);
      expect(pressure.isHigh).toBe(false);
      expect(pair.a.trunks.metrics.creditWaits).toBeGreaterThan(0);
      expect(pair.b.trunks.metrics.creditsSent).toBeGreaterThan(0);
    });

    it('count messages that are thrown away, ends, and messages for transactions that are gone', async () => {
      const route = await established(1);
      await until(() => route.rxCreated);
      const pressure = route.data;
      pair.b.terminal.onMessage = (tx) => tx.endpoint.end(tx);
      // Far more than a window in all: if a part were never credited, this would come to a standstill.
      for (let i = 0; i < 400; i++) {
        await until(() => !pressure.isHigh);
        const tx = route.endpoint.open(BLK_READ, route, DISCARDED, null, 0, new Uint8Array(2048));
        const child = route.endpoint.open(BLK_READ, tx, DISCARDED, null, 0, new Uint8Array(2048));
        route.endpoint.send(child, BLK_READ, 0, null, new Uint8Array(2048));
        route.endpoint.end(tx);
      }
      await until(() => !pressure.isHigh);
      await until(() => pair.a.trunks.counts().transactions === 1);
    });

    it('slow the answers, too, by the connection that the route serves', async () => {
      const route = pair.route(1, 'circuit', null, 77);
      await until(() => pair.b.terminal.opened.length === 1);
      pair.a.terminal.pressureOfConnection(77).isHigh = true;
      const back = pair.b.terminal.opened[0]!.route;
      const pressure = back.data;
      while (!pressure.isHigh) back.endpoint.oneWay(BLK_READ, 0, null, KIB64, back);
      await turns();
      expect(pressure.isHigh).toBe(true);
      pair.a.terminal.pressureOfConnection(77).low();
      await until(() => !pressure.isHigh);
      expect(route.ended).toBe(false);
    });

    it('hold up no sender whose route is gone', async () => {
      const route = await established(1);
      pair.b.terminal.pressureOfConnection(101).isHigh = true;
      await until(() => route.rxCreated);
      const pressure = route.data;
      while (!pressure.isHigh) route.endpoint.oneWay(BLK_READ, 0, null, KIB64, route);
      let low = 0;
      pressure.onceLow(() => low++);
      drop(route);
      expect(low).toBe(1);
      // A new route has a window of its own.
      await until(() => pair.b.terminal.ended.length === 1);
      pair.b.terminal.pressureOfConnection(101).low();
      const again = pair.route(1);
      await until(() => again.rxCreated);
      expect(again.data.isHigh).toBe(false);
    });
  });

  describe('routes', () => {
    it('end the transactions on them on both sides, whichever side drops them', async () => {
      for (const side of ['near', 'far'] as const) {
        pair.b.terminal.opened.length = 0;
        pair.b.terminal.heard.length = 0;
        const route = await established(1);
        const heard: number[] = [];
        const handler = {
          onMessage: (_tx: unknown, frame: { error: number }) => void heard.push(frame.error),
          onLost: (_tx: unknown, error: number) => void heard.push(error),
        };
        route.endpoint.open(BLK_READ, route, handler);
        await until(() => pair.b.terminal.heard.length === 1);
        if (side === 'near') drop(route);
        else drop(pair.b.terminal.opened[0]!.route);
        await until(() => pair.a.trunks.counts().transactions + pair.b.trunks.counts().transactions === 0);
        const far = pair.b.terminal.heard;
        if (side === 'near') expect(far.filter(isEnd).map(({ error }) => error)).toEqual([LOSTLINK]);
        else expect(heard).toEqual([LOSTLINK]);
        expect(pair.a.terminal.ended.splice(0)).toEqual([route]);
        expect(pair.b.terminal.ended.splice(0)).toEqual([pair.b.terminal.opened[0]!.route]);
        expect(pair.route(1)).not.toBe(route);
        drop(pair.route(1));
        await until(() => pair.b.trunks.counts().routes === 0 && pair.a.trunks.counts().transactions === 0);
        pair.a.terminal.ended.length = 0;
        pair.b.terminal.ended.length = 0;
      }
    });

    it('deliver nothing after their end', async () => {
      const route = await established(1);
      const back = pair.b.terminal.opened[0]!.route;
      drop(route);
      back.endpoint.oneWay(LNK_PING, 0, null, null, back);
      const late = back.endpoint.open(BLK_READ, back, DISCARDED);
      await until(() => late.rxDeleted || late.ended);
      expect(pair.a.terminal.heard).toEqual([]);
    });
  });

  describe('loss', () => {
    it('ends both halves with LOSTLINK, refuses routes meanwhile, and opens the trunk again by itself', async () => {
      const route = await established(1);
      const lost: number[] = [];
      route.endpoint.open(BLK_READ, route, { onMessage() {}, onLost: (_tx, error) => lost.push(error) });
      await until(() => pair.b.terminal.heard.length === 1);
      pair.clock.advance(2_000);
      pair.clock.advance(2_000);
      await until(() => pair.a.trunks.counts().established === 0 && pair.b.trunks.counts().established === 0);
      expect(lost).toEqual([LOSTLINK]);
      expect(pair.b.terminal.heard.map(({ what }) => what)).toEqual(['open', 'lost']);
      expect([pair.a.terminal.ended, pair.b.terminal.ended.length]).toEqual([[route], 1]);
      expect(pair.a.trunks.route({ gateway: pair.b.id, number: 1 }, 'circuit', null)).toBeNull();
      expect(pair.a.log.filter(({ msg }) => msg === 'trunk lost')).toMatchObject([{ peer: pair.b.id, level: 'warn' }]);
      pair.clock.advance(100);
      await until(() => pair.a.trunks.counts().established === 1 && pair.b.trunks.counts().established === 1);
      expect(pair.a.trunks.route({ gateway: pair.b.id, number: 1 }, 'circuit', null)).not.toBeNull();
      expect(pair.a.unreachable.flat()).toEqual([]);
    });

    it.each([
      ['gone', () => pair.a.trunks.gone([pair.b.id])],
      ['renamed', () => pair.a.trunks.renamed()],
      ['stopping', () => void pair.a.trunks.stop()],
    ])('that is meant is nothing to warn of: %s', async (reason, end) => {
      drop(await established(1));
      end();
      await until(() => pair.a.trunks.counts().established === 0);
      const lines = pair.a.log.filter((line) => line.reason === reason);
      expect(lines).toMatchObject([{ level: 'info', msg: 'trunk closed', peer: pair.b.id }]);
    });

    it('tells topology after 2 s without the trunk, and again when the trunk is back', async () => {
      await established(1);
      const { other } = pair.a;
      pair.a.other = null;
      pair.b.other = null;
      pair.clock.advance(2_000);
      pair.clock.advance(2_000);
      await until(() => pair.a.trunks.counts().established === 0 && pair.b.trunks.counts().established === 0);
      // Told twice: that the trunk is established, and that it is not any more.
      expect(pair.a.unreachable).toEqual([[], []]);
      pair.clock.advance(1_999);
      expect(pair.a.unreachable.flat()).toEqual([]);
      pair.clock.advance(1);
      expect(pair.a.unreachable).toEqual([[], [], [pair.b.id]]);
      expect(pair.a.trunks.state()).toEqual({ established: [], unreachable: [pair.b.id] });
      pair.a.other = other;
      await turns();
      for (let i = 0; i < 40 && pair.a.unreachable.length === 3; i++) {
        pair.clock.advance(500);
        await turns();
      }
      expect(pair.a.unreachable.at(-1)).toEqual([]);
      expect(pair.b.unreachable.at(-1)).toEqual([]);
      expect(pair.a.trunks.state()).toEqual({ established: [pair.b.id], unreachable: [] });
    });

    it('opens a lost trunk again before it tells topology, even if that trunk was hard to open before', async () => {
      const wires = await pair.wired();
      await established(1);
      const { other } = pair.a;
      const isLost = () => pair.a.trunks.counts().established + pair.b.trunks.counts().established === 0;
      const isThere = () => pair.a.trunks.counts().established + pair.b.trunks.counts().established === 2;
      const lose = async () => {
        for (const wire of Object.values(wires)) wire.cut();
        await until(isLost);
      };
      const pass = async (ms: number) => {
        for (let passed = 0; passed < ms && !isThere(); passed += 100) {
          pair.clock.advance(100);
          await turns();
        }
      };
      pair.a.other = null;
      pair.b.other = null;
      await lose();
      // The pauses between attempts have reached their maximum.
      await pass(30_000);
      expect(pair.a.trunks.state().unreachable).toEqual([pair.b.id]);
      pair.a.other = other;
      await pass(10_000);
      await until(isThere);
      const told = pair.a.unreachable.length;
      await lose();
      await pass(1500);
      await until(isThere);
      expect(pair.a.unreachable.slice(told).flat()).toEqual([]);
    });

    it('ends transactions that wait for the trunk when it cannot be opened', async () => {
      pair.a.other = null;
      const route = pair.route(1);
      const lost: number[] = [];
      route.endpoint.open(BLK_READ, route, { onMessage() {}, onLost: (_tx, error) => lost.push(error) });
      await until(() => lost.length === 1);
      expect([lost, pair.a.terminal.ended]).toEqual([[LOSTLINK], [route]]);
    });

    it('takes a new connection from a gateway that has lost the old one', async () => {
      await established(1);
      // As if A had forgotten the trunk and B had not noticed.
      const { address, token } = pair.b.trunks.openTrunk({ from: pair.a.id, to: pair.b.id, version: 1 });
      const socket = connect({ port: Number(address.slice(1)), host: '127.0.0.1' });
      socket.write(token);
      await until(() => pair.b.trunks.metrics.lost.replaced === 1);
      expect(pair.b.terminal.ended.length).toBe(1);
      expect(pair.b.trunks.counts()).toMatchObject({ established: 1, routes: 0 });
      socket.destroy();
    });

    it('keeps the trunk to a gateway that a list leaves out', async () => {
      const route = await established(1);
      pair.a.trunks.welcomed(2);
      pair.a.trunks.listed([]);
      pair.a.trunks.listed([{ gateway: 'c.00000003', serviceAddress: '127.0.0.1:2' }]);
      expect(pair.a.trunks.counts()).toMatchObject({ trunks: 2, established: 1, routes: 1 });
      expect(pair.a.trunks.route({ gateway: pair.b.id, number: 1 }, 'circuit', null)).toBe(route);
      expect([...pair.a.trunks.known]).toEqual([pair.b.id, 'c.00000003']);
    });

    it('ends the trunk to a gateway that was declared dead, and refuses trunks to its id for the rest of the epoch', async () => {
      await established(1);
      pair.a.trunks.gone([pair.b.id]);
      const ask = () => pair.a.trunks.openTrunk({ from: pair.b.id, to: pair.a.id, version: 1 });
      expect(ask).toThrow(expect.objectContaining({ data: { why: 'declared-dead' } }));
      pair.list();
      expect(pair.a.trunks.state()).toEqual({ established: [], unreachable: [] });
      expect(pair.a.trunks.counts()).toMatchObject({ trunks: 0, established: 0, routes: 0 });
      await until(() => pair.b.trunks.counts().established === 0);
      expect(pair.a.trunks.route({ gateway: pair.b.id, number: 1 }, 'circuit', null)).toBeNull();
      // The other side is told that it was declared dead as soon as it tries to open the trunk again.
      pair.clock.advance(5_000);
      await until(() => pair.b.deadCalls > 0);
      // A leader of a higher epoch may not have declared it dead.
      pair.a.trunks.welcomed(1);
      expect(ask).not.toThrow();
    });

    // Limits: link-gateway/src/limits.ts MAX_DEAD_GATEWAYS
    it('remembers only a bounded number of gateways that are gone', () => {
      const ids = Array.from({ length: MAX_DEAD_GATEWAYS + 1 }, (_, n) => `c.${n.toString(16).padStart(8, '0')}`);
      pair.a.trunks.gone(ids);
      const ask = (from: string) => () => pair.a.trunks.openTrunk({ from, to: pair.a.id, version: 1 });
      expect(ask(ids[0]!)).not.toThrow();
      expect(ask(ids[1]!)).toThrow(expect.objectContaining({ data: { why: 'declared-dead' } }));
    });

    it('ends the trunk when this gateway has another id, and opens it again under that id', async () => {
      const route = await established(1);
      const lost: number[] = [];
      route.endpoint.open(BLK_READ, route, { onMessage() {}, onLost: (_tx, error) => lost.push(error) });
      pair.a.id = 'a.00000009';
      pair.a.trunks.renamed();
      expect(lost).toEqual([LOSTLINK]);
      await until(() => pair.b.trunks.counts().established === 0);
      const source = { gateway: '', number: 5, payload: new Uint8Array(384) };
      pair.route(2, 'linkid', source);
      await until(() => pair.b.terminal.opened.length === 2);
      expect(pair.b.terminal.opened[1]!.source!.gateway).toBe('a.00000009');
      expect(pair.b.trunks.state().established).toEqual(['a.00000009']);
    });

    it('counts an unreachable gateway as reachable again when this one has another id, also during an attempt', async () => {
      await established(1);
      const { other } = pair.a;
      pair.a.other = null;
      pair.b.other = null;
      pair.clock.advance(2_000);
      pair.clock.advance(2_000);
      await until(() => pair.a.trunks.counts().established === 0 && pair.b.trunks.counts().established === 0);
      const held = Promise.withResolvers<void>();
      pair.a.hold = held.promise;
      const { asked } = pair.a;
      pair.clock.advance(100);
      await until(() => pair.a.asked > asked);
      pair.clock.advance(1_900);
      expect(pair.a.trunks.state().unreachable).toEqual([pair.b.id]);
      pair.a.id = 'a.00000009';
      pair.a.trunks.renamed();
      // Otherwise the trunk would never be tried again: topology selects no relay of the links of an unreachable
      // gateway.
      expect(pair.a.trunks.state()).toEqual({ established: [], unreachable: [] });
      expect(pair.a.unreachable.at(-1)).toEqual([]);
      pair.a.other = other;
      pair.a.hold = Promise.resolve();
      held.resolve();
      await turns();
      pair.route(2);
      await until(() => pair.a.trunks.counts().established === 1);
      expect(pair.b.trunks.state().established).toEqual(['a.00000009']);
    });
  });

  describe('keep-alive', () => {
    it('probes a quiet trunk, and keeps it if the other side answers', async () => {
      await established(1);
      for (let i = 0; i < 5; i++) {
        const before = pair.a.trunks.metrics.messagesIn;
        pair.clock.advance(2_000);
        await until(() => pair.a.trunks.metrics.messagesIn >= before + 2);
      }
      expect([pair.a.trunks.counts().established, pair.b.trunks.counts().established]).toEqual([1, 1]);
    });
  });

  describe('a gateway that does not read its trunk', () => {
    // Limits: trunk/limits.ts QUEUE_HIGH_BYTES
    it('costs bounded memory, and loses the trunk if it goes on', async () => {
      const wire = new Wire();
      await wire.start(
        Number(pair.b.trunks.openTrunk({ from: 'c.00000003', to: pair.b.id, version: 1 }).address.slice(1)),
      );
      pair.b.port = wire.port;
      const aux = new Uint8Array(64 * 1024);
      await established(0);
      wire.pause();
      const routes = Array.from({ length: 100 }, (_, link) => pair.route(link));
      let sent = 0;
      for (const route of routes) {
        const pressure = route.data;
        while (!pressure.isHigh) {
          route.endpoint.oneWay(BLK_READ, 0, null, aux, route);
          sent += aux.length;
        }
      }
      expect(sent).toBeLessThan(QUEUE_HIGH_BYTES + routes.length * aux.length);
      let low = 0;
      for (const route of routes) route.data.onceLow(() => low++);
      await turns();
      pair.clock.advance(2_000);
      await turns();
      pair.clock.advance(2_000);
      await until(() => pair.a.trunks.counts().established === 0);
      expect([pair.a.trunks.queuedBytes, low]).toEqual([0, routes.length]);
      expect(pair.a.terminal.ended.length).toBe(routes.length);
      wire.stop();
    });
  });

  describe('stopping', () => {
    it('ends all routes in order on the other side, and refuses new trunks', async () => {
      const route = await established(1);
      route.endpoint.open(BLK_READ, route, DISCARDED);
      await until(() => pair.b.terminal.heard.length === 1);
      pair.a.other = null;
      await pair.a.trunks.stop();
      expect(pair.b.terminal.heard.filter(isEnd).map(({ what, cmd }) => [what, cmd & DELETE])).toEqual([
        ['message', DELETE],
      ]);
      expect(pair.b.terminal.ended.length).toBe(1);
      expect(() => pair.a.trunks.openTrunk({ from: pair.b.id, to: pair.a.id, version: 1 })).toThrow('stopping');
      expect(pair.a.trunks.counts()).toMatchObject({ trunks: 0, established: 0, routes: 0, transactions: 0 });
    });
  });
});
