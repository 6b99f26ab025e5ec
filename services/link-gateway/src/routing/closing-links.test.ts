import { ABORT, BLK_READ, CREATE, DELETE, LNK_ERROR, REPLY, REVTRANS } from '@spanmesh/dmsg/command';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { afterEach, describe, expect, it } from 'vitest';
import { ENDED_PER_TURN } from '../shares/limits.ts';
import { type Member, Mesh } from './mesh.fixture.ts';

let mesh: Mesh;
afterEach(() => mesh.stop());

/** A one-way message that gateways pass on and do not answer themselves. */
const ONE_WAY = 0x00700a01;
/** 64 peers ask for spans. Enough links are offered that closing all their relays takes five turns. */
const LNK_CONNS = 64;
const LINKS = Math.ceil((5 * ENDED_PER_TURN) / LNK_CONNS);
const RELAYS = LNK_CONNS * LINKS;

const word = (...parts: number[]) => (parts.reduce((all, part) => all | part, 0) >>> 0).toString(16).padStart(8, '0');

class Log implements TransactionHandler {
  readonly words: string[] = [];

  onMessage(_tx: Transaction, { cmd, error }: Frame): void {
    this.words.push(`${word(cmd)} ${error.toString(16)}`);
  }

  onLost(): void {
    this.words.push('lost');
  }
}

/** An owner whose links are all relayed to many peers; one of these peers, and the messages that reach the owner. */
async function related(dialect: Dialect) {
  mesh = await Mesh.start();
  const { attach } = mesh.gateway;
  const owner = await mesh.join(dialect);
  const asking: Member[] = [];
  for (let n = 0; n < LNK_CONNS; n++) asking.push(await mesh.join(dialect));
  const requester = asking.at(-1);
  if (requester === undefined) throw new Error('nobody asks');
  const from = await mesh.span(requester);
  const { tx, payload } = await mesh.span(owner);
  const spans = [tx];
  while (spans.length < LINKS) spans.push(owner.node.span(payload));
  const { linksOpened } = await attach.until((delta) => delta.linksOpened.length === LINKS + 1);
  const open = asking.map(({ lnkConn }) => lnkConn);
  const links = linksOpened.map(({ id }) => id).filter((id) => id !== from.link);
  attach.command({ relays: links.map((link) => ({ gateway: '', link, open, close: [] })) });
  for (const { node } of asking) await node.until(() => node.relays.length === LINKS);
  const came: string[] = [];
  owner.node.onOpen = () => came.push('a transaction');
  owner.node.onOneWay = () => came.push('a one-way message');
  const close = async () => {
    for (const span of spans) owner.node.endpoint.end(span);
    owner.node.flush();
    const { counters } = mesh.gateway.gateway;
    while (counters.relays === RELAYS) await turn();
  };
  const last = requester.node.relays.at(-1);
  if (last === undefined) throw new Error('there is no relay');
  return { requester, from: from.tx, last, close, came };
}

/**
 * Waits until a peer's message is dropped, and returns the number of relays open at that moment, all about to close. 0:
 * no message was dropped before all relays were closed.
 */
async function relaysAtDrop(came: readonly string[]): Promise<number> {
  const { counters } = mesh.gateway.gateway;
  const before = counters.routedDropped;
  while (counters.routedDropped === before && counters.relays > 0 && came.length === 0) await turn();
  return counters.relays;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('while the relays of links that have closed are being closed', () => {
  it('nothing new passes over the relays still open, circuit', async () => {
    const { requester, last, close, came } = await related('circuit');
    const { node } = requester;
    await close();
    const log = new Log();
    node.endpoint.oneWay(ONE_WAY, 0, null, null, last);
    node.endpoint.open(BLK_READ, last, log);
    node.flush();
    const left = await relaysAtDrop(came);
    expect(came).toEqual([]);
    expect(left).toBeGreaterThan(0);
    await node.until(() => node.relays.length === 0);
    await mesh.settled(1);
    expect(log.words).toEqual([`${word(CREATE, DELETE, ABORT, REPLY, REVTRANS, LNK_ERROR)} 21`]);
    expect(came).toEqual([]);
  });

  it('nothing new passes over the relays still open, linkid', async () => {
    const { requester, from, last, close, came } = await related('linkid');
    const { node } = requester;
    await close();
    const to = node.address(from, last);
    const log = new Log();
    node.endpoint.oneWay(ONE_WAY, 0, null, null, null, to);
    node.endpoint.open(BLK_READ, null, log, null, 0, null, to);
    node.flush();
    const left = await relaysAtDrop(came);
    expect(came).toEqual([]);
    expect(left).toBeGreaterThan(0);
    await node.until(() => node.relays.length === 0);
    await mesh.settled(1);
    expect(log.words).toEqual([`${word(CREATE, DELETE, ABORT, REPLY, LNK_ERROR)} 21`]);
    expect(came).toEqual([]);
    expect(mesh.counts).toMatchObject({ routes: 0, onDemandRelays: 0 });
  });
});
