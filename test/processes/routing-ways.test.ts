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
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Heard, type Party, RouteWorld, word } from '../peer/route-world.ts';

// Features of a single dialect, with topology and two gateways in processes of their own; and the end of one of these
// processes.

let world: RouteWorld;

beforeAll(async () => {
  // A return path must not be closed as idle during these tests.
  world = await RouteWorld.start({ SPANMESH_ON_DEMAND_IDLE: '1h' });
});
afterEach(() => world.clear());
afterAll(async () => {
  expect(await world.faults()).toEqual([]);
  await world.stop();
});

const LOST = word(DELETE, ABORT, LNK_ERROR);
const openOf = ({ node }: Party) => node.endpoint.transactions().filter(({ handler }) => handler instanceof Heard);

describe('across two gateways, transactions stacked on others (circuit)', () => {
  /** Four transactions, each stacked on the one before, opened alternately by the requester and the owner. */
  async function tower() {
    const { requester, owner } = await world.pair('circuit');
    const first = new Heard();
    const base = requester.open(BLK_OPEN, first);
    requester.node.flush();
    const atOwner = await owner.take(0);
    owner.send(atOwner.tx, LNK_ERROR);
    const stack = async (by: Party, on: typeof base, other: Party, n: number) => {
      const heard = new Heard();
      by.node.endpoint.open(BLK_READ, on, heard, null, 0, Buffer.alloc(64, n));
      by.node.flush();
      return { heard, taken: await other.take(n) };
    };
    const second = await stack(owner, atOwner.tx, requester, 0);
    const third = await stack(requester, second.taken.tx, owner, 1);
    const fourth = await stack(owner, third.taken.tx, requester, 1);
    return { requester, owner, base, first, atOwner, second, third, fourth };
  }

  it('are joined, whichever end opens them, and carry messages in both directions', async () => {
    const { requester, owner, second, third, fourth } = await tower();
    expect([second.taken.tx.depth, third.taken.tx.depth, fourth.taken.tx.depth]).toEqual([2, 3, 4]);
    expect(fourth.taken.heard.auxes).toEqual([Buffer.alloc(64, 1)]);
    requester.send(fourth.taken.tx, BLK_WRITE | DELETE);
    await owner.node.until(() => fourth.heard.words.length === 1);
    expect(fourth.heard.words).toEqual([word(CREATE, DELETE, REPLY, BLK_WRITE)]);
    const heard: unknown[] = [];
    owner.node.onOneWay = (_frame, circuit) => heard.push(circuit);
    requester.node.endpoint.oneWay(LNK_PING, 0, null, null, second.taken.tx);
    requester.node.flush();
    await owner.node.until(() => heard.length === 1);
    expect((heard[0] as { depth: number }).depth).toBe(2);
  });

  it.each(['requester', 'owner'] as const)(
    'end with LOSTLINK at both ends when the %s closes the lowest one',
    async (who) => {
      const made = await tower();
      const { requester, owner, base, atOwner, second, third, fourth } = made;
      if (who === 'requester') requester.end(base);
      else owner.end(atOwner.tx);
      // The closing end has ended its own transactions itself; for those of the other end it receives an end.
      const told =
        who === 'requester'
          ? [fourth.heard, second.heard, third.taken.heard]
          : [third.heard, fourth.taken.heard, second.taken.heard];
      const other = who === 'requester' ? owner : requester;
      await other.node.until(() => told.every(({ words }) => words.at(-1)?.endsWith(' 21')));
      for (const { words } of told) expect(words.at(-1)).toMatch(/^(lost|[0-9a-f]{8}) 21$/);
      requester.endAll();
      owner.endAll();
      await world.noTransactions();
      expect([openOf(requester), openOf(owner)]).toEqual([[], []]);
    },
  );

  it('end with the owner, leaves first', async () => {
    const { requester, owner, first, second, third, fourth } = await tower();
    const order: number[] = [];
    for (const [depth, heard] of [first, second.taken.heard, third.heard, fourth.taken.heard].entries()) {
      const { take } = heard;
      heard.take = (frame) => {
        take.call(heard, frame);
        order.push(depth + 1);
      };
    }
    owner.node.socket.resetAndDestroy();
    await requester.node.until(() => order.length === 4);
    expect(order).toEqual([4, 3, 2, 1]);
    expect(second.taken.heard.words.at(-1)).toBe(`${LOST} 21`);
    requester.endAll();
    await requester.node.until(() => requester.node.relays.length === 0);
    expect(openOf(requester)).toEqual([]);
  });
});

describe('across two gateways, the return path (linkid)', () => {
  it.each(['span', 'connection'] as const)(
    'closes with the %s of the requester, after the transactions over it',
    async (what) => {
      const { requester, owner } = await world.oneSided();
      const heard = new Heard();
      requester.open(BLK_READ, heard);
      requester.node.flush();
      const { heard: atOwner } = await owner.take(0);
      if (what === 'span') requester.end(requester.span);
      else requester.node.destroy();
      await owner.node.until(() => owner.node.relays.length === 0);
      expect(atOwner.words).toEqual([word(CREATE, BLK_READ), `${LOST} 21`]);
      owner.endAll();
      await owner.node.barrier();
      expect(atOwner.words.length).toBe(2);
    },
  );

  it('that the owner closes ends the transactions over it, at both ends', async () => {
    const { requester, owner } = await world.oneSided();
    const heard = new Heard();
    requester.open(BLK_READ, heard);
    requester.node.flush();
    const { heard: atOwner } = await owner.take(0);
    owner.end(owner.relay);
    await requester.node.until(() => heard.words.length === 1);
    expect(heard.words).toEqual([`${word(CREATE, DELETE, ABORT, REPLY, LNK_ERROR)} 21`]);
    await owner.node.until(() => atOwner.words.length === 2);
    expect(atOwner.words[1]).toBe(`${LOST} 21`);
  });

  it('drops messages to an unknown target, and keeps the connection', async () => {
    const { requester, owner } = await world.oneSided();
    const heard = new Heard();
    const address = { ...requester.address!, targetLo: 99 };
    requester.node.endpoint.open(BLK_READ, null, heard, null, 0, null, address);
    requester.node.endpoint.oneWay(LNK_PING, 0, null, null, null, address);
    await requester.node.barrier();
    expect([heard.words, owner.taken]).toEqual([[], []]);
  });
});

describe.each(['linkid', 'circuit'] as const)('the gateway of the owner is killed, %s', (dialect) => {
  it('transactions with it end with LOSTLINK; a gateway in its place is used at once', async () => {
    const { requester } = await world.pair(dialect).then(async (pair) => {
      pair.owner.node.socket.on('error', () => {});
      return pair;
    });
    const [answered, waiting] = [new Heard(), new Heard()];
    const tx = requester.open(BLK_OPEN, answered);
    requester.open(BLK_READ | DELETE, waiting);
    requester.node.flush();
    await until(
      async () => (await world.kept())[1]!['spanmesh_gateway_open{table="transactions"}'] === 6,
      () => 'two transactions at the owner',
    );
    await world.installation.gateways[1]!.stop('SIGKILL');
    await requester.node.until(() => answered.words.length > 0 && waiting.words.length > 0);
    const lost = `${word(CREATE, DELETE, ABORT, REPLY, LNK_ERROR)} 21`;
    expect([answered.words, waiting.words]).toEqual([[lost], [lost]]);
    requester.send(tx, BLK_WRITE);
    // A transaction that begins now is ended, too, as long as the relay exists.
    const late = new Heard();
    if (requester.node.relays.length > 0) {
      requester.open(BLK_READ | DELETE, late);
      requester.node.flush();
      await requester.node.until(() => late.words.length === 1 || requester.node.relays.length === 0);
      for (const each of late.words) expect(each).toMatch(/ 21$/);
    }
    requester.endAll();
    await requester.node.barrier();
    expect([answered.words, waiting.words]).toEqual([[lost], [lost]]);
    await requester.node.until(() => requester.node.relays.length === 0);
    await world.installation.again(1);
    const owner = await world.join(1, dialect);
    await requester.node.until(() => requester.node.relays.length === 1);
    const heard = new Heard();
    requester.open(BLK_READ | DELETE, heard);
    requester.node.flush();
    const taken = await owner.take(0);
    owner.end(taken.tx, 5);
    await requester.node.until(() => heard.words.length === 1);
    expect(heard.words).toEqual([`${word(CREATE, DELETE, REPLY, LNK_ERROR)} 5`]);
  });
});
