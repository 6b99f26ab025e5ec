import { BLK_WRITE, DELETE } from '@spanmesh/dmsg/command';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, describe, expect, it } from 'vitest';
import { LARGEST_WINDOW_BYTES } from '../trunk/limits.ts';
import { type Member, Mesh } from './mesh.fixture.ts';

let mesh: Mesh;
afterEach(() => mesh.stop());

const BLOCK = 64 * 1024;
const BLOCKS = 32;
const SENDERS = 20;

/** Makes a member answer every transaction at once. */
function answering(member: Member): void {
  member.node.onOpen = (tx) => {
    member.node.endpoint.end(tx);
  };
}

/** Counts transactions by how they ended: with the peer's DELETE, or lost. */
class Finals implements TransactionHandler {
  done = 0;
  lost = 0;

  onMessage(tx: Transaction, { error }: { error: number }): void {
    if (error === 0) this.done++;
    else this.lost++;
    tx.endpoint.end(tx);
  }

  onLost(): void {
    this.lost++;
  }
}

/**
 * An owner that does not read, one that does, and twenty senders that send 64 MB in all to the first. Nowhere may more
 * than a part of that be queued. With two gateways, the owners are on one and the senders on the other.
 */
async function crowd(gateways: 1 | 2 = 1) {
  // The sockets' kernel buffers take a part in any case.
  mesh = await Mesh.start({ SPANMESH_SEND_LIMIT: String(16 * 1024 * 1024) }, gateways);
  const receiving = mesh.gateways.at(-1)!;
  const stuck = await mesh.join('circuit', receiving);
  const works = await mesh.join('circuit', receiving);
  answering(stuck);
  answering(works);
  const toStuck = await mesh.span(stuck);
  const toWorking = await mesh.span(works);
  const senders: { member: Member; relay: Transaction }[] = [];
  for (let i = 0; i < SENDERS; i++) {
    const member = await mesh.join('circuit');
    senders.push({ member, relay: await mesh.relaySpan(toStuck, member) });
  }
  const other = await mesh.join('circuit');
  const otherRelay = await mesh.relaySpan(toWorking, other);
  stuck.node.socket.pause();
  const finals = new Finals();
  const block = Buffer.alloc(BLOCK, 7);
  for (let i = 0; i < BLOCKS; i++) {
    for (const { member, relay } of senders) {
      member.node.endpoint.open(BLK_WRITE | DELETE, relay, finals, null, 0, block);
      member.node.flush();
    }
  }
  const { gateway } = mesh.gateway;
  // Not all twenty senders need be paused: some had sent everything before the pressure was high.
  await until(() => gateway.counters.pauses >= SENDERS / 2);
  return { stuck, works, other, otherRelay, finals, gateway, senders };
}

describe('given a receiver that does not read, and twenty senders', () => {
  // Causes: metric spanmesh_gateway_pauses_total
  it('the senders are paused with little queued, others go on, and all arrives when the receiver reads again', async () => {
    const { stuck, other, otherRelay, finals, gateway } = await crowd();
    const quick = new Finals();
    for (let i = 0; i < 50; i++) {
      other.node.endpoint.open(BLK_WRITE | DELETE, otherRelay, quick, null, 0, Buffer.alloc(BLOCK));
      other.node.flush();
      await other.node.until(() => quick.done === i + 1);
    }
    // The high-water mark, and what had been read from each of the twenty senders when it was reached.
    expect(gateway.queuedBytes).toBeLessThan(1024 * 1024 + SENDERS * 2 * (BLOCK + 128));
    stuck.node.socket.resume();
    await until(() => finals.done >= SENDERS * BLOCKS);
    expect(finals.lost).toBe(0);
    await mesh.settled();
    expect(gateway.queuedBytes).toBe(0);
    // Two LNK_CONNs a connection, two spans, and their relays.
    expect(mesh.counts.transactions).toBe(2 * (SENDERS + 3) + 2 + SENDERS + 1);
  });

  it('it is closed when it takes nothing for too long, and everyone hears of it', async () => {
    const { stuck, finals, gateway, senders } = await crowd();
    mesh.gateway.clock.advance(10_001);
    mesh.gateway.clock.advance(10_001);
    const sent = SENDERS * BLOCKS;
    await until(() => finals.done + finals.lost >= sent);
    expect(gateway.counters.closed.stalled).toBe(1);
    expect(finals.lost).toBeGreaterThan(0);
    // The stuck node does not read, so it does not notice that it was closed.
    stuck.node.destroy();
    await Promise.all(senders.map(({ member }) => member.node.until(() => member.node.relays.length === 0)));
    await mesh.settled();
    expect(mesh.counts).toMatchObject({ links: 1, relays: 1, transactions: 2 * (SENDERS + 2) + 1 + 1 });
  });
});

describe('given such a receiver, and the senders on another gateway', () => {
  /** Queued bytes as the gateways' metrics show them. */
  async function queued(): Promise<{ sending: number; receiving: number; trunk: number }> {
    const [sending, receiving] = await Promise.all(mesh.gateways.map(({ metrics }) => metrics.text()));
    const of = (text: string, name: string) =>
      Number(new RegExp(`^spanmesh_gateway_${name} (\\S+)$`, 'm').exec(text)![1]);
    const trunk = of(sending!, 'trunk_queued_bytes') + of(receiving!, 'trunk_queued_bytes');
    return { sending: of(sending!, 'queued_bytes'), receiving: of(receiving!, 'queued_bytes'), trunk };
  }

  /** Bytes that may have been read from the twenty senders when the window was used up. */
  const READ_AHEAD = SENDERS * 2 * (BLOCK + 128);

  it('little is queued on either gateway, other receivers go on, and all arrives when the stuck one reads again', async () => {
    const { stuck, other, otherRelay, finals, senders } = await crowd(2);
    const quick = new Finals();
    let most = { sending: 0, receiving: 0, trunk: 0 };
    for (let i = 0; i < 50; i++) {
      other.node.endpoint.open(BLK_WRITE | DELETE, otherRelay, quick, null, 0, Buffer.alloc(BLOCK));
      other.node.flush();
      await other.node.until(() => quick.done === i + 1);
      const { sending, receiving, trunk } = await queued();
      most = {
        sending: Math.max(most.sending, sending),
        receiving: Math.max(most.receiving, receiving),
        trunk: Math.max(most.trunk, trunk),
      };
    }
    expect(finals.done).toBeLessThan(SENDERS * BLOCKS);
    expect(most.receiving).toBeGreaterThan(0);
    // Sending gateway: only answers are queued. Receiving gateway: at most the high-water mark, a window grown to its
    // largest, and READ_AHEAD. The window grows until the stuck one's kernel buffers are full. Trunk: as long as the
    // receiving gateway has not come to read, the same window and READ_AHEAD, and what `other` sends.
    expect(most.sending).toBeLessThan(64 * 1024);
    expect(most.receiving).toBeLessThan(1024 * 1024 + LARGEST_WINDOW_BYTES + READ_AHEAD);
    expect(most.trunk).toBeLessThan(LARGEST_WINDOW_BYTES + READ_AHEAD + BLOCK + 128);
    stuck.node.socket.resume();
    await until(() => finals.done >= SENDERS * BLOCKS);
    expect(finals.lost).toBe(0);
    await mesh.settled();
    expect(await queued()).toEqual({ sending: 0, receiving: 0, trunk: 0 });
    // Two LNK_CONNs a connection, two spans, and their relays.
    expect(mesh.counts.transactions).toBe(2 * (senders.length + 3) + 2 + senders.length + 1);
    expect(mesh.trunkCounts.transactions).toBe(mesh.trunkCounts.routes);
  });

  it('it is closed when it takes nothing for too long, and everyone hears of it', async () => {
    const { stuck, finals, senders, other, otherRelay } = await crowd(2);
    const [, receiving] = mesh.gateways;
    // In steps of a second, so that the gateways can go on showing each other that they are alive.
    for (let s = 0; s < 25 && receiving!.gateway.counters.closed.stalled === 0; s++) {
      mesh.gateway.clock.advance(1000);
      await other.node.barrier();
      const quick = new Finals();
      other.node.endpoint.open(BLK_WRITE | DELETE, otherRelay, quick);
      other.node.flush();
      await other.node.until(() => quick.done === 1);
    }
    expect(receiving!.gateway.counters.closed.stalled).toBe(1);
    // The stuck node does not read, so it does not notice that it was closed.
    stuck.node.destroy();
    const sent = SENDERS * BLOCKS;
    await until(() => finals.done + finals.lost >= sent);
    expect(finals.lost).toBeGreaterThan(0);
    await mesh.settled();
    expect(await queued()).toEqual({ sending: 0, receiving: 0, trunk: 0 });
    expect(mesh.counts).toMatchObject({ links: 1, relays: 1, transactions: 2 * (senders.length + 2) + 1 + 1 });
    expect(mesh.trunkCounts).toMatchObject({ established: 2, transactions: mesh.trunkCounts.routes });
  });
});
