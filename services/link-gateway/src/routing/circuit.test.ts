import {
  ABORT,
  BASE_MASK,
  BLK_OPEN,
  BLK_READ,
  BLK_WRITE,
  CREATE,
  DELETE,
  LNK_CONN_CIRCUIT,
  LNK_CONN_LINKID,
  LNK_ERROR,
  LNK_PING,
  LNK_SPAN,
  REPLY,
  REVCIRC,
  REVTRANS,
} from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { afterEach, describe, expect, it } from 'vitest';
import { type Member, Mesh } from './mesh.fixture.ts';

let mesh: Mesh;
afterEach(() => mesh.stop());

/** An owner with a span, and a requester that has the relay of it. */
async function pair(env: Record<string, string> = {}) {
  mesh = await Mesh.start(env);
  const owner = await mesh.join('circuit');
  const requester = await mesh.join('circuit');
  const { tx: span, link } = await mesh.span(owner);
  const relay = await mesh.relay(link, requester);
  await mesh.settled(2);
  return { owner, requester, span, link, relay, before: mesh.counts };
}

/** Records the messages of transactions as `word error`, in order. */
class Log implements TransactionHandler {
  readonly words: string[] = [];
  readonly auxes: Buffer[] = [];

  take(frame: Frame): void {
    const { cmd, error, buf, off, headBytes, auxPadded } = frame;
    this.words.push(cmd.toString(16).padStart(8, '0') + (error === 0 ? '' : ` ${error.toString(16)}`));
    this.auxes.push(Buffer.from(buf.subarray(off + headBytes, off + headBytes + auxPadded)));
  }

  onMessage(_tx: Transaction, frame: Frame): void {
    this.take(frame);
  }

  onLost(_tx: Transaction, error: number): void {
    this.words.push(`lost ${error.toString(16)}`);
  }
}

/** Takes every transaction that others open at a member, with a log for each. */
function takes(member: Member): { tx: Transaction; log: Log }[] {
  const taken: { tx: Transaction; log: Log }[] = [];
  member.node.onOpen = (tx, frame) => {
    const log = new Log();
    log.take(frame);
    tx.handler = log;
    taken.push({ tx, log });
  };
  return taken;
}

const word = (...parts: number[]) => (parts.reduce((all, part) => all | part, 0) >>> 0).toString(16).padStart(8, '0');

describe('given a relay, and a transaction on it', () => {
  it('passes messages both ways until both directions are deleted, and keeps nothing', async () => {
    const { owner, requester, relay, span, before } = await pair();
    const taken = takes(owner);
    const log = new Log();
    const tx = requester.node.endpoint.open(BLK_OPEN, relay, log);
    requester.node.flush();
    await owner.node.until(() => taken.length === 1);
    expect(taken[0]!.tx.circuit).toBe(span);
    expect(taken[0]!.log.words).toEqual([word(CREATE, REVCIRC, BLK_OPEN)]);
    owner.node.endpoint.send(taken[0]!.tx, LNK_ERROR, 7);
    owner.node.endpoint.send(taken[0]!.tx, 0x00700a01);
    owner.node.flush();
    await requester.node.until(() => log.words.length === 2);
    expect(log.words).toEqual([`${word(CREATE, REPLY, REVTRANS, LNK_ERROR)} 7`, word(REPLY, REVTRANS, 0x00700a01)]);
    // The transaction is half closed: the other direction goes on.
    requester.node.endpoint.send(tx, BLK_WRITE | DELETE);
    requester.node.flush();
    await mesh.settled();
    owner.node.endpoint.send(taken[0]!.tx, BLK_READ);
    owner.node.endpoint.end(taken[0]!.tx, ErrorCode.IO);
    owner.node.flush();
    await mesh.settled();
    expect(taken[0]!.log.words.slice(1)).toEqual([word(DELETE, REVCIRC, BLK_WRITE)]);
    expect(log.words.slice(2)).toEqual([
      word(REPLY, REVTRANS, BLK_READ),
      `${word(DELETE, REPLY, REVTRANS, LNK_ERROR)} 22`,
    ]);
    expect(mesh.counts).toEqual(before);
  });

  it.each([0, 1, 63, 64, 65_535, 65_536, 1024 * 1024])('passes %i bytes of aux data untouched', async (bytes) => {
    const { owner, requester, relay } = await pair();
    const taken = takes(owner);
    const aux = Buffer.alloc(bytes, 'a1b2c3');
    requester.node.endpoint.open(BLK_WRITE | DELETE, relay, new Log(), null, 0, aux);
    requester.node.flush();
    await owner.node.until(() => taken.length === 1);
    expect(taken[0]!.log.auxes[0]!.subarray(0, bytes).equals(aux)).toBe(true);
  });

  it('joins transactions that either end stacks on it, at any depth', async () => {
    const { owner, requester, relay, before } = await pair();
    const atOwner = takes(owner);
    const atRequester = takes(requester);
    const log = new Log();
    requester.node.endpoint.open(BLK_OPEN, relay, log);
    requester.node.flush();
    await owner.node.until(() => atOwner.length === 1);
    const base = atOwner[0]!.tx;
    owner.node.endpoint.send(base, LNK_ERROR);
    const fromOwner = new Log();
    owner.node.endpoint.open(BLK_READ, base, fromOwner);
    owner.node.flush();
    await requester.node.until(() => atRequester.length === 1);
    expect(atRequester[0]!.tx.depth).toBe(2);
    const fromRequester = new Log();
    requester.node.endpoint.open(BLK_WRITE, atRequester[0]!.tx, fromRequester);
    requester.node.flush();
    await owner.node.until(() => atOwner.length === 2);
    expect(atOwner[1]!.tx.depth).toBe(3);
    // The owner ends the lowest transaction: those stacked on it end before it, by themselves.
    owner.node.endpoint.end(base);
    owner.node.flush();
    await mesh.settled();
    expect(atRequester[0]!.log.words.at(-1)).toBe(`${word(DELETE, ABORT, LNK_ERROR, REVCIRC)} 21`);
    expect(fromRequester.words.at(-1)).toMatch(/ 21$/);
    for (const { node } of [owner, requester]) {
      for (const tx of node.endpoint.transactions()) if (tx.depth > 0) node.endpoint.end(tx);
      node.flush();
    }
    await mesh.settled();
    expect(mesh.counts).toEqual(before);
  });

  it('passes ABORT, in either direction', async () => {
    const { owner, requester, relay, before } = await pair();
    const taken = takes(owner);
    const log = new Log();
    const tx = requester.node.endpoint.open(BLK_OPEN, relay, log);
    requester.node.endpoint.end(tx, ErrorCode.IO, true);
    requester.node.flush();
    await owner.node.until(() => taken[0]?.log.words.length === 2);
    expect(taken[0]!.log.words[1]).toBe(`${word(DELETE, ABORT, LNK_ERROR, REVCIRC)} 22`);
    owner.node.endpoint.end(taken[0]!.tx, ErrorCode.IO, true);
    owner.node.flush();
    await mesh.settled();
    expect(log.words).toEqual([`${word(CREATE, DELETE, ABORT, REPLY, REVTRANS, LNK_ERROR)} 22`]);
    expect(mesh.counts).toEqual(before);
  });

  it('passes one-way messages on towards the originator, also on a joined transaction', async () => {
    const { owner, requester, relay, span } = await pair();
    const taken = takes(owner);
    const heard: string[] = [];
    owner.node.onOneWay = (frame, circuit) => {
      heard.push(`${word(frame.cmd)} on ${circuit === span ? 'span' : circuit === taken[0]?.tx ? 'transaction' : '?'}`);
    };
    const tx = requester.node.endpoint.open(BLK_OPEN, relay, new Log());
    requester.node.endpoint.oneWay(LNK_PING, 0, null, null, relay);
    requester.node.endpoint.oneWay(0x00700a01, 0, null, null, tx);
    requester.node.flush();
    await owner.node.until(() => heard.length === 2);
    expect(heard).toEqual([`${word(REVCIRC, LNK_PING)} on span`, `${word(0x00700a01)} on transaction`]);
  });
});

describe('LNK_SPAN and LNK_CONN', () => {
  /** The LNK_CONN of the other dialect is refused as well: a node may know both. */
  const commands = [LNK_SPAN, LNK_CONN_CIRCUIT, LNK_CONN_LINKID];

  it('on a relay, or on a transaction stacked on it, are refused, and reach nobody', async () => {
    const { owner, requester, relay, before } = await pair();
    const taken = takes(owner);
    const base = requester.node.endpoint.open(BLK_OPEN, relay, new Log());
    const logs = commands.flatMap((command) =>
      [relay, base].map((circuit) => {
        const log = new Log();
        requester.node.endpoint.open(command, circuit, log, null, 320);
        return log;
      }),
    );
    requester.node.flush();
    await mesh.settled();
    const refused = (circuit: Transaction) =>
      word(CREATE, DELETE, REPLY, REVTRANS, LNK_ERROR, circuit === base ? REVCIRC : 0);
    expect(logs.map(({ words }) => words)).toEqual(
      commands.flatMap(() => [relay, base].map((circuit) => [`${refused(circuit)} 20`])),
    );
    expect(taken.map(({ log }) => log.words)).toEqual([[word(CREATE, REVCIRC, BLK_OPEN)]]);
    for (const { node } of [requester, owner]) {
      for (const tx of node.endpoint.transactions()) if (tx.depth > 0) node.endpoint.end(tx);
      node.flush();
    }
    await mesh.settled();
    expect(mesh.counts).toEqual(before);
  });

  it('one-way on a relay are thrown away and counted', async () => {
    const { owner, requester, relay } = await pair();
    const heard: number[] = [];
    owner.node.onOneWay = ({ cmd }) => void heard.push(cmd & BASE_MASK);
    const { routedDropped } = mesh.gateway.gateway.counters;
    for (const command of commands) requester.node.endpoint.oneWay(command, 0, null, null, relay);
    requester.node.endpoint.oneWay(LNK_PING, 0, null, null, relay);
    requester.node.flush();
    await owner.node.until(() => heard.length > 0);
    expect(heard).toEqual([LNK_PING]);
    expect(mesh.gateway.gateway.counters.routedDropped).toBe(routedDropped + 3);
  });
});

describe('given that one side is lost', () => {
  it('the requester gets LOSTLINK before the answer to a PING, and nothing later', async () => {
    const { owner, requester, relay } = await pair();
    const taken = takes(owner);
    const answered = new Log();
    const waiting = new Log();
    const tx = requester.node.endpoint.open(BLK_OPEN, relay, answered);
    requester.node.endpoint.open(BLK_READ | DELETE, tx, waiting);
    requester.node.flush();
    await owner.node.until(() => taken.length === 2);
    owner.node.endpoint.send(taken[0]!.tx, LNK_ERROR);
    owner.node.endpoint.send(taken[0]!.tx, BLK_READ);
    owner.node.flush();
    await requester.node.until(() => answered.words.length === 2);
    owner.node.destroy();
    await requester.node.until(() => requester.node.relays.length === 0);
    const heard = [[...answered.words], [...waiting.words]];
    await requester.node.barrier();
    expect([answered.words, waiting.words]).toEqual(heard);
    expect(answered.words.at(-1)).toBe(`${word(DELETE, ABORT, REPLY, REVTRANS, LNK_ERROR)} 21`);
    expect(waiting.words).toEqual([`${word(CREATE, DELETE, ABORT, REPLY, REVTRANS, REVCIRC, LNK_ERROR)} 21`]);
    requester.node.endpoint.end(tx);
    requester.node.flush();
    await mesh.settled();
    // The two transactions are the LNK_CONNs of the connection that is left.
    expect(mesh.counts).toMatchObject({ connections: 1, links: 0, relays: 0, transactions: 2, routes: 0 });
  });

  it('the owner gets LOSTLINK, leaves first, and what it still sends is dropped', async () => {
    const { owner, requester, relay } = await pair();
    const taken = takes(owner);
    const tx = requester.node.endpoint.open(BLK_OPEN, relay, new Log());
    requester.node.endpoint.open(BLK_READ, tx, new Log());
    requester.node.flush();
    await owner.node.until(() => taken.length === 2);
    const order: number[] = [];
    for (const [at, { log }] of taken.entries()) {
      log.onMessage = (_tx, frame) => {
        log.take(frame);
        order.push(at);
      };
    }
    requester.node.destroy();
    await owner.node.until(() => order.length === 2);
    expect(order).toEqual([1, 0]);
    expect(taken.map(({ log }) => log.words[1])).toEqual(
      [`${word(DELETE, ABORT, LNK_ERROR)} 21`, `${word(DELETE, ABORT, LNK_ERROR, REVCIRC)} 21`].reverse(),
    );
    owner.node.endpoint.send(taken[1]!.tx, BLK_READ);
    owner.node.endpoint.end(taken[1]!.tx);
    owner.node.endpoint.end(taken[0]!.tx);
    owner.node.flush();
    await owner.node.barrier();
    expect(mesh.counts).toMatchObject({ connections: 1, links: 1, relays: 0, transactions: 3 });
  });

  it.each([
    ['the link closes', (o: Awaited<ReturnType<typeof pair>>) => o.owner.node.endpoint.end(o.span)],
    ['topology closes the relay', (o: Awaited<ReturnType<typeof pair>>) => mesh.unrelay(o.link, o.requester)],
    ['the peer closes the relay', (o: Awaited<ReturnType<typeof pair>>) => o.requester.node.endpoint.end(o.relay)],
  ])('%s: both ends learn it', async (_name, act) => {
    const made = await pair();
    const { owner, requester, relay } = made;
    const taken = takes(owner);
    const log = new Log();
    const tx = requester.node.endpoint.open(BLK_OPEN, relay, log);
    requester.node.flush();
    await owner.node.until(() => taken.length === 1);
    act(made);
    owner.node.flush();
    requester.node.flush();
    await mesh.settled();
    const last = taken[0]!.log.words.at(-1)!;
    expect(last).toMatch(/^(lost|.*) 21$/);
    // A message sent after that reaches nobody.
    const heard = taken[0]!.log.words.length;
    requester.node.endpoint.send(tx, BLK_WRITE);
    requester.node.flush();
    await mesh.settled();
    expect(taken[0]!.log.words.length).toBe(heard);
    for (const { node } of [owner, requester]) {
      for (const open of node.endpoint.transactions()) if (open.depth > 0) node.endpoint.end(open);
      node.flush();
    }
    await mesh.settled();
    expect(mesh.counts.relays).toBe(0);
    expect(tx.rxDeleted || tx.ended).toBe(true);
  });

  it('a CREATE that crosses the end of the relay is answered LOSTLINK', async () => {
    const { owner, requester, relay, link } = await pair();
    const taken = takes(owner);
    const log = new Log();
    mesh.unrelay(link, requester);
    requester.node.endpoint.open(BLK_OPEN | DELETE, relay, log);
    requester.node.flush();
    await requester.node.until(() => log.words.length > 0);
    await mesh.settled();
    expect(log.words[0]).toMatch(/ 21$/);
    expect(taken).toEqual([]);
    expect(mesh.counts.transactions).toBe(5);
  });
});
