import { randomBytes } from 'node:crypto';
import { Socket } from 'node:net';
import {
  ABORT,
  BLK_OPEN,
  BLK_READ,
  BLK_WRITE,
  CREATE,
  DELETE,
  LNK_ERROR,
  LNK_PING,
  REPLY,
} from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { until as eventually } from '@spanmesh/runtime/patience.fixture';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Heard, type Party, RouteWorld, word } from '../peer/route-world.ts';
import { addedBetween, listTraffic } from '../peer/traffic.ts';
import type { Dialect } from '../peer/wire.ts';

// Routing over real TCP, with topology and two gateways in processes of their own. The requester is a peer of one
// gateway, the owner of the span a peer of the other. After each case neither gateway may have any of its objects left.

const DIALECTS: Dialect[] = ['linkid', 'circuit'];
/** The most aux data of a message, bytes (protocol.md, "Message"). */
const MOST_AUX = { linkid: 64 * 1024, circuit: 1024 * 1024 };
/** Commands of unknown protocols; the second one has a payload. */
const UNKNOWN = { bare: 0x00700a01, long: 0x00f0ff02 };

let world: RouteWorld;

beforeAll(async () => {
  world = await RouteWorld.start({ SPANMESH_ON_DEMAND_IDLE: '300ms' });
});
afterEach(() => world.clear());
afterAll(async () => {
  expect(await world.faults()).toEqual([]);
  await world.stop();
});

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);
const text = (value: unknown) => Buffer.from(String(value).padEnd(64, '.'));

/** A transaction of one message in each direction: the nth one that the owner receives. */
async function askOnce(requester: Party, owner: Party, n: number): Promise<void> {
  const heard = new Heard();
  requester.open(BLK_READ | DELETE, heard);
  requester.node.flush();
  const { tx } = await owner.take(n);
  owner.end(tx);
  await until(requester, heard, 1);
}

const until = ({ node }: Party, heard: Heard, messages: number) => node.until(() => heard.words.length >= messages);

describe.each(DIALECTS)('across two gateways, %s', (dialect) => {
  describe('given an open route', () => {
    it('passes a transaction of one message in each direction', async () => {
      const { requester, owner } = await world.pair(dialect);
      const heard = new Heard();
      requester.open(BLK_READ | DELETE, heard, { payload: Buffer.alloc(64, 5), aux: text('question') });
      requester.node.flush();
      const { tx, heard: asked } = await owner.take(0);
      expect([asked.words, asked.payloads, asked.auxes]).toEqual([
        [word(CREATE, DELETE, BLK_READ)],
        [Buffer.alloc(64, 5)],
        [text('question')],
      ]);
      owner.send(tx, BLK_READ | DELETE, text('answer'), 7);
      await until(requester, heard, 1);
      expect([heard.words, heard.auxes]).toEqual([[`${word(CREATE, DELETE, REPLY, BLK_READ)} 7`], [text('answer')]]);
    });

    it('counts messages and bytes exactly, on both connections and the trunk, and topology reports those of both gateways', async () => {
      const { requester, owner } = await world.pair(dialect);
      // Opens the route over the trunk.
      await askOnce(requester, owner, 0);
      await world.noTransactions();
      const { grpc } = world.installation.topology.ports;
      const before = await listTraffic(grpc);
      const heard = new Heard();
      const tx = requester.open(BLK_OPEN, heard);
      for (const n of numbers(30)) requester.send(tx, BLK_WRITE, Buffer.alloc(1000, n));
      requester.end(tx);
      const { tx: taken, heard: asked } = await owner.take(1);
      await until(owner, asked, 32);
      owner.end(taken);
      await until(requester, heard, 1);
      const added = addedBetween(before, await listTraffic(grpc));
      // Headers are 128 bytes, and aux data is padded to 1024; ends of transactions are 64 bytes.
      const there = { messages: 32, bytes: 128 + 30 * (128 + 1024) + 64 };
      const back = { messages: 1, bytes: 64 };
      const towards = (to: typeof there, from: typeof there) => ({
        messagesIn: from.messages,
        bytesIn: from.bytes,
        messagesOut: to.messages,
        bytesOut: to.bytes,
        transactionsOpened: 1,
      });
      expect(added['gateway-1 connection']).toEqual(towards(back, there));
      expect(added['gateway-2 connection']).toEqual(towards(there, back));
      expect(added['gateway-1 class trunk']).toEqual(towards(there, back));
      expect(added['gateway-2 class trunk']).toEqual(towards(back, there));
      // A trunk also carries PINGs and credits.
      expect(added['gateway-1 trunk']!.messagesOut).toBeGreaterThanOrEqual(there.messages);
      expect(added['gateway-1 trunk']!.bytesOut).toBeGreaterThanOrEqual(there.bytes);
      expect(added['gateway-2 trunk']!.bytesOut).toBeGreaterThanOrEqual(back.bytes);
    });

    it('passes a stream in a transaction in both directions, in order, and half-close by the requester', async () => {
      const { requester, owner } = await world.pair(dialect);
      const heard = new Heard();
      const tx = requester.open(BLK_OPEN, heard, { aux: text(0) });
      for (let i = 1; i < 50; i++) requester.send(tx, BLK_WRITE, text(i));
      requester.end(tx);
      const taken = await owner.take(0);
      await until(owner, taken.heard, 51);
      expect(taken.heard.auxes.slice(0, 50)).toEqual(numbers(50).map(text));
      expect([taken.heard.words[0], taken.heard.words[1], taken.heard.words[50]]).toEqual([
        word(CREATE, BLK_OPEN),
        word(BLK_WRITE),
        word(DELETE, LNK_ERROR),
      ]);
      // The other direction continues.
      for (let i = 0; i < 50; i++) owner.send(taken.tx, BLK_READ, text(i));
      owner.end(taken.tx, ErrorCode.IO);
      await until(requester, heard, 51);
      expect(heard.auxes.slice(0, 50)).toEqual(numbers(50).map(text));
      expect(heard.words.at(-1)).toBe(`${word(DELETE, REPLY, LNK_ERROR)} 22`);
    });

    it('passes half-close by the owner', async () => {
      const { requester, owner } = await world.pair(dialect);
      const heard = new Heard();
      const tx = requester.open(BLK_OPEN, heard);
      requester.node.flush();
      const taken = await owner.take(0);
      owner.end(taken.tx);
      await until(requester, heard, 1);
      expect(heard.words).toEqual([word(CREATE, DELETE, REPLY, LNK_ERROR)]);
      requester.send(tx, BLK_WRITE, text('more'));
      requester.end(tx);
      await until(owner, taken.heard, 3);
      expect(taken.heard.words).toEqual([word(CREATE, BLK_OPEN), word(BLK_WRITE), word(DELETE, LNK_ERROR)]);
    });

    it.each(['requester', 'owner'] as const)('passes ABORT of the %s', async (who) => {
      const { requester, owner } = await world.pair(dialect);
      const heard = new Heard();
      const tx = requester.open(BLK_OPEN, heard);
      requester.node.flush();
      const taken = await owner.take(0);
      const [first, last] = who === 'requester' ? [() => requester, () => owner] : [() => owner, () => requester];
      const [there, back] = who === 'requester' ? [tx, taken.tx] : [taken.tx, tx];
      const atLast = who === 'requester' ? taken.heard : heard;
      const before = atLast.words.length;
      first().end(there, ErrorCode.IO, true);
      await until(last(), atLast, before + 1);
      expect(atLast.words.at(-1)).toBe(
        who === 'requester'
          ? `${word(DELETE, ABORT, LNK_ERROR)} 22`
          : `${word(CREATE, DELETE, ABORT, REPLY, LNK_ERROR)} 22`,
      );
      // After ABORT, too, the transaction is gone only when both sides have closed it.
      last().end(back, 0, true);
      await world.noTransactions();
    });

    it('passes the largest blocks unchanged, in both directions', async () => {
      const { requester, owner } = await world.pair(dialect);
      const [there, back] = [randomBytes(MOST_AUX[dialect]), randomBytes(MOST_AUX[dialect])];
      const heard = new Heard();
      requester.open(BLK_WRITE | DELETE, heard, { aux: there });
      requester.node.flush();
      const taken = await owner.take(0);
      owner.send(taken.tx, BLK_READ | DELETE, back);
      await until(requester, heard, 1);
      expect([taken.heard.auxes[0]!.equals(there), heard.auxes[0]!.equals(back)]).toEqual([true, true]);
    });

    it('passes commands of unknown protocols', async () => {
      const { requester, owner } = await world.pair(dialect);
      const heard = new Heard();
      const payload = randomBytes(64);
      const tx = requester.open(UNKNOWN.bare, heard);
      requester.node.endpoint.send(tx, UNKNOWN.long | DELETE, 0x1234, payload, text('x'));
      requester.node.flush();
      const taken = await owner.take(0);
      await until(owner, taken.heard, 2);
      expect([taken.heard.words, taken.heard.payloads[1], taken.heard.auxes[1]]).toEqual([
        [word(CREATE, UNKNOWN.bare), `${word(DELETE, UNKNOWN.long)} 1234`],
        payload,
        text('x'),
      ]);
      owner.send(taken.tx, UNKNOWN.bare | DELETE);
      await until(requester, heard, 1);
      expect(heard.words).toEqual([word(CREATE, DELETE, REPLY, UNKNOWN.bare)]);
    });

    it('passes one-way messages towards the originator of the span', async () => {
      const { requester, owner } = await world.pair(dialect);
      const heard: string[] = [];
      owner.node.onOneWay = (frame, circuit) => {
        const { auxBytes, cmd, targetLo, targetHi } = frame;
        const isOnSpan =
          dialect === 'circuit'
            ? circuit === owner.span
            : targetLo === owner.span.msgidLo && targetHi === owner.span.msgidHi;
        heard.push(`${word(cmd & 0x00ffffff)} ${auxBytes} ${isOnSpan}`);
      };
      requester.oneWay(UNKNOWN.bare, text('x'));
      requester.oneWay(LNK_PING);
      await owner.node.until(() => heard.length === 2);
      expect(heard).toEqual([`${word(UNKNOWN.bare)} 64 true`, `${word(LNK_PING)} 0 true`]);
    });

    it('keeps the order of each of 200 interleaved transactions, opened by both ends', async () => {
      const { requester, owner } = await world.pair(dialect);
      const opened = numbers(200).map((i) => {
        const by = i % 2 === 0 ? requester : owner;
        const heard = new Heard();
        return { by, heard, tx: by.open(BLK_OPEN, heard, { aux: text(`${i}:0`) }) };
      });
      for (let n = 1; n < 20; n++) {
        // A different order each time: 7 and 200 have no common divisor.
        for (let at = 0; at < 200; at++) {
          const i = (at * 7 + n) % 200;
          const { by, tx } = opened[i]!;
          by.node.endpoint.send(tx, BLK_WRITE | (n === 19 ? DELETE : 0), 0, null, text(`${i}:${n}`));
        }
        requester.node.flush();
        owner.node.flush();
      }
      for (const party of [owner, requester]) {
        const from = party === owner ? 0 : 1;
        await party.node.until(
          () => party.taken.length === 100 && party.taken.every(({ heard }) => heard.words.length === 20),
        );
        const expected = numbers(100).map((i) => numbers(20).map((n) => text(`${2 * i + from}:${n}`)));
        expect(party.taken.map(({ heard }) => heard.auxes)).toEqual(expected);
        for (const { tx, heard } of party.taken) {
          for (const aux of heard.auxes) party.node.endpoint.send(tx, BLK_READ, 0, null, aux);
          party.node.endpoint.end(tx);
        }
        party.node.flush();
      }
      for (const [i, { by, heard }] of opened.entries()) {
        await until(by, heard, 21);
        expect(heard.auxes.slice(0, 20)).toEqual(numbers(20).map((n) => text(`${i}:${n}`)));
      }
      await world.noTransactions();
    });
  });

  describe('given that something is lost', () => {
    /** Two transactions: one that was answered and carries a stream, and one without an answer. */
    async function busy() {
      const pair = await world.pair(dialect);
      const { requester, owner } = pair;
      const answered = new Heard();
      const waiting = new Heard();
      const tx = requester.open(BLK_OPEN, answered);
      requester.open(BLK_READ | DELETE, waiting);
      requester.node.flush();
      const { tx: there, heard: atOwner } = await owner.take(0);
      await owner.take(1);
      owner.send(there, LNK_ERROR);
      await until(requester, answered, 1);
      return { ...pair, tx, answered, waiting, there, atOwner };
    }

    const LOST_ANSWERED = `${word(DELETE, ABORT, REPLY, LNK_ERROR)} 21`;
    const LOST_UNANSWERED = `${word(CREATE, DELETE, ABORT, REPLY, LNK_ERROR)} 21`;

    it.each([
      ['closes its span', ({ owner }: Awaited<ReturnType<typeof busy>>) => owner.end(owner.span)],
      ['hangs up', ({ owner }: Awaited<ReturnType<typeof busy>>) => void owner.node.socket.end()],
      [
        'is reset in the middle of a message',
        ({ owner, there }: Awaited<ReturnType<typeof busy>>) => cutInMessage(owner, there),
      ],
    ])(
      'the owner %s: the transactions end with LOSTLINK before the relay and the answer to a PING, and nothing comes later',
      async (_name, act) => {
        const made = await busy();
        const { requester, owner, tx, answered, waiting, there } = made;
        for (let i = 0; i < 10; i++) owner.send(there, BLK_READ, text(i));
        act(made);
        await requester.node.until(() => requester.node.relays.length === 0);
        const heard = [[...answered.words], [...waiting.words]];
        requester.node.endpoint.send(tx, BLK_WRITE);
        await requester.node.barrier();
        expect([answered.words, waiting.words]).toEqual(heard);
        expect([answered.words.at(-1), waiting.words]).toEqual([LOST_ANSWERED, [LOST_UNANSWERED]]);
        // The messages received are the first ones of the stream.
        const stream = answered.auxes.slice(1, -1);
        expect(stream).toEqual(numbers(stream.length).map(text));
        requester.endAll();
        await requester.node.barrier();
        expect([answered.words.at(-1), waiting.words]).toEqual([LOST_ANSWERED, [LOST_UNANSWERED]]);
      },
    );

    it.each(['hangs up', 'is reset'] as const)(
      'the requester %s: its transactions with the owner end with LOSTLINK',
      async (how) => {
        const { requester, owner, there, atOwner } = await busy();
        const [, second] = owner.taken;
        if (how === 'hangs up') requester.node.socket.end();
        else requester.node.socket.resetAndDestroy();
        await owner.node.until(() => owner.node.relays.length === 0);
        await owner.node.until(() => atOwner.words.length === 2);
        expect(atOwner.words).toEqual([word(CREATE, BLK_OPEN), `${word(DELETE, ABORT, LNK_ERROR)} 21`]);
        // The requester has sent its DELETE, so the owner's transaction needs no other end.
        expect(second!.heard.words).toEqual([word(CREATE, DELETE, BLK_READ)]);
        owner.send(there, BLK_READ, text('too late'));
        owner.endAll();
        await owner.node.barrier();
        expect(atOwner.words.length).toBe(2);
        expect(owner.node.endpoint.transactions().filter(({ handler }) => handler instanceof Heard)).toEqual([]);
      },
    );

    it('the requester closes the relay: the transactions on it end at both ends', async () => {
      const { requester, owner, tx, answered, waiting, atOwner } = await busy();
      requester.end(requester.relay);
      await until(owner, atOwner, 2);
      expect(atOwner.words[1]).toBe(`${word(DELETE, ABORT, LNK_ERROR)} 21`);
      await requester.node.until(() => answered.words.length === 2 && waiting.words.length === 1);
      for (const { words } of [answered, waiting]) expect(words.at(-1)).toMatch(/ 21$/);
      requester.node.endpoint.send(tx, BLK_WRITE);
      requester.endAll();
      owner.endAll();
      await requester.node.barrier();
      await owner.node.barrier();
      expect([answered.words.length, waiting.words.length, atOwner.words.length]).toEqual([2, 1, 2]);
    });

    it('a CREATE that crosses the end of the span gets an answer, or its relay closes', async () => {
      const { requester, owner } = await world.pair(dialect);
      const heard = numbers(50).map(() => new Heard());
      owner.end(owner.span);
      for (const each of heard) {
        if (requester.node.relays.length > 0) requester.open(BLK_READ | DELETE, each);
        requester.node.flush();
        await requester.node.barrier();
      }
      await requester.node.until(() => requester.node.relays.length === 0);
      await requester.node.barrier();
      for (const { words } of heard) for (const each of words) expect(each).toMatch(/ 21$/);
      if (dialect === 'circuit') {
        // Each transaction that was opened was ended, by a message or with its circuit.
        expect(requester.node.endpoint.transactions().filter(({ handler }) => handler instanceof Heard)).toEqual([]);
      }
      expect(owner.taken).toEqual([]);
    });
  });
});

describe('across two gateways, the return path (linkid)', () => {
  const onDemand = async () =>
    (await world.kept()).map((each) => each['spanmesh_gateway_open{table="onDemandRelays"}'] ?? 0);

  it('is opened before the message is passed, is used by the owner, and closes when it is not needed', async () => {
    const { requester, owner } = await world.oneSided();
    expect(owner.node.relays).toEqual([]);
    const heard = new Heard();
    const tx = requester.open(BLK_READ, heard);
    requester.node.flush();
    const { tx: there } = await owner.take(0);
    expect(owner.node.relays.length).toBe(1);
    expect([there.toLo, there.toHi]).toEqual([owner.relay.msgidLo, owner.relay.msgidHi]);
    expect(await onDemand()).toEqual([0, 1]);
    // The owner opens a transaction to the span that it now knows.
    const back = new Heard();
    owner.open(BLK_WRITE | DELETE, back, { aux: Buffer.alloc(64, 9) });
    owner.node.flush();
    const taken = await requester.take(0);
    expect(taken.heard.auxes).toEqual([Buffer.alloc(64, 9)]);
    requester.end(taken.tx, 3);
    await owner.node.until(() => back.words.length === 1);
    expect(back.words).toEqual([`${word(CREATE, DELETE, REPLY, LNK_ERROR)} 3`]);
    owner.end(there);
    requester.end(tx);
    await owner.node.until(() => owner.node.relays.length === 0);
    await eventually(
      async () => (await onDemand()).every((count) => count === 0),
      () => 'a way back that is closed',
    );
    // The next message opens it anew.
    requester.oneWay(LNK_PING);
    await owner.node.until(() => owner.node.relays.length === 1);
  });
});

/** Sends half of a large message in a transaction, then resets the connection. */
function cutInMessage({ node }: Party, tx: Parameters<Party['send']>[0]): void {
  const { socket } = node;
  // The library bypasses `write` for plain sockets only, so it calls the `write` of this class.
  Object.setPrototypeOf(socket, HalvingSocket.prototype);
  node.endpoint.send(tx, BLK_READ, 0, null, randomBytes(32 * 1024));
  node.flush();
  // The half is written before the reset, so that the router receives it.
  socket.once('drain', () => socket.resetAndDestroy());
  if (!socket.writableNeedDrain) socket.resetAndDestroy();
}

/** A socket that sends half of the bytes that it is given. */
class HalvingSocket extends Socket {
  override write(bytes: Uint8Array, ...rest: never[]): boolean {
    return super.write(bytes.subarray(0, bytes.length / 2), ...rest);
  }
}
