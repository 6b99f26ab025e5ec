import { until } from '@spanmesh/runtime/patience.fixture';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connBody, connFields, spanBody, spanFields, testUuid } from '../peer/payloads.ts';
import type { RawPeer } from '../peer/raw-peer.ts';
import {
  BLK_OPEN,
  CREATE,
  DELETE,
  type Dialect,
  ERROR,
  encode,
  LNK_CONN,
  LNK_ERROR,
  LNK_SPAN,
  type Outgoing,
  REPLY,
  REVTRANS,
} from '../peer/wire.ts';
import { World } from '../peer/world.ts';

/**
 * Input in which every message is allowed, but which is meant to do harm (architecture.md, "What must always hold" 5).
 */
describe('hostile peers', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({ markers: 'linkid', settings: { SPANMESH_SILENT_TIMEOUT: '400ms' } });
  });
  afterEach(() => world.clear());
  afterAll(() => world?.stop());

  it('300 transactions stacked on each other are refused beyond the allowed depth', async () => {
    const peer = await world.live('circuit', { name: 'stacker' });
    await peer.openConn({ label: 'stacker' });
    const { raw } = peer;
    const body = Buffer.alloc(64);
    const create = (n: number): Outgoing => ({
      cmd: CREATE | BLK_OPEN,
      msgid: BigInt(n),
      circuit: n === 1 ? 0n : BigInt(n - 1),
      body,
    });
    const numbers = Array.from({ length: 300 }, (_, at) => at + 1);
    raw.sendAll(numbers.map(create));
    const errors: number[] = [];
    for (const n of numbers) {
      const answer = await raw.expect(({ msgid }) => msgid === BigInt(n), `the answer to ${n}`);
      expect(answer.cmd & (CREATE | DELETE | REPLY | REVTRANS)).toBe(CREATE | DELETE | REPLY | REVTRANS | 0);
      errors.push(answer.error);
    }
    const refusedFrom = errors.indexOf(ERROR.CANTCIRC);
    // The depth is 16 (a setting of the library), whether or not the first one counts.
    expect(refusedFrom).toBeGreaterThanOrEqual(15);
    expect(refusedFrom).toBeLessThanOrEqual(17);
    expect(new Set(errors.slice(0, refusedFrom))).toEqual(new Set([ERROR.NOSUPP]));
    expect(new Set(errors.slice(refusedFrom))).toEqual(new Set([ERROR.CANTCIRC]));
    // Ending the lowest one ends them all.
    raw.send({ cmd: DELETE | LNK_ERROR, msgid: 1n });
    await world.settled(peer);
    expect(raw.isEnded).toBe(false);
    raw.send({ cmd: CREATE | BLK_OPEN, msgid: 2n, body });
    const again = await raw.expect(({ msgid }) => msgid === 2n, 'the msgid of a stacked transaction can be used again');
    expect(again.error).toBe(ERROR.NOSUPP);
  });

  it('1,000 connections that never speak are closed, and others are served meanwhile', async () => {
    const silent: RawPeer[] = [];
    for (let batch = 0; batch < 10; batch++) {
      const dialect: Dialect = batch % 2 === 0 ? 'linkid' : 'circuit';
      const port = batch % 3 === 0 ? world.port(null) : world.port(dialect);
      silent.push(...(await Promise.all(Array.from({ length: 100 }, () => world.raw(dialect, { port })))));
    }
    const giver = await world.live('circuit', { name: 'giver' });
    await giver.openConn({ label: 'giver' });
    const taker = await world.live('circuit', { name: 'taker' });
    await taker.openConn({ label: 'taker' });
    giver.openSpan({ nodeLabel: 'n' });
    await taker.relay(({ nodeLabel }) => nodeLabel === 'n');
    await until(
      () => silent.every((peer) => peer.isEnded),
      () => `${silent.filter((peer) => !peer.isEnded).length} of 1,000 silent connections are still open`,
    );
    for (const peer of silent) peer.destroy();
    // The peers that have spoken stay connected.
    await until(
      () => world.counts().connections === world.baseline.connections! + 2,
      () => JSON.stringify(world.counts()),
    );
    await world.settled(giver, taker);
    expect(taker.relays()).toHaveLength(1);
  });

  it.each([
    ['linkid', false],
    ['linkid', true],
    ['circuit', false],
    ['circuit', true],
  ] as [Dialect, boolean][])('takes %s byte by byte, big-endian: %s', async (dialect, bigEndian) => {
    const taker = await world.live(dialect, { name: 'taker' });
    await taker.openConn({ label: 'taker' });
    const peer = await world.raw(dialect);
    const messages: Outgoing[] = [
      {
        cmd: CREATE | LNK_CONN[dialect],
        msgid: 0x1234567890abcdef0n & 0xffffffffffffffffn,
        body: connBody(dialect, connFields({})),
      },
      {
        cmd: CREATE | LNK_SPAN,
        msgid: 0xfff0000000000001n,
        body: spanBody(dialect, spanFields({ node: testUuid(0xb17e), nodeLabel: 'slow' })),
      },
    ];
    const bytes = Buffer.concat(messages.map((one) => encode(dialect, { ...one, bigEndian }, peer.nextSalt())));
    for (const byte of bytes) {
      peer.sendBytes(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await taker.relay(({ nodeLabel }) => nodeLabel === 'slow');
    peer.send({ cmd: DELETE | LNK_ERROR, msgid: 0xfff0000000000001n });
    await taker.relayGone(() => true);
  });

  it('survives noise', async () => {
    // A fixed random sequence, so that a failure can be repeated.
    let state = 12345;
    const random = () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state >>> 24;
    };
    for (let round = 0; round < 20; round++) {
      const peer = await world.raw(round % 2 === 0 ? 'linkid' : 'circuit');
      peer.sendBytes(Buffer.from(Array.from({ length: 64 + round * 50 }, random)));
      await peer.untilEnded();
    }
    await world.clear();
  });
});
