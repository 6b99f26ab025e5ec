import type { Commands } from '@spanmesh/proto/v1/gateway_control';
import type { Link } from '@spanmesh/spantree/tree';
import { describe, expect, it } from 'vitest';
import { Gateway, type LinkData } from '../trees/gateway.ts';
import { KnownLinks } from '../trees/known-links.ts';
import { CommandQueue } from './command-queue.ts';

// Written once more: a change of them must be noticed.
const MAX_QUEUED_BYTES = 32 * 1024 * 1024;

/** The open queue of gateway `a`; `sent` lists the messages written. */
function rig({ isOpen = true } = {}) {
  const gateway = new Gateway('a', '00000001', 'a:1', '1');
  gateway.knows = new KnownLinks();
  const sent: Commands[] = [];
  const sink = {
    accepts: true,
    write: (commands: Commands) => {
      sent.push(commands);
      return sink.accepts;
    },
  };
  let n = 0;
  const numbering = { epoch: 7, next: () => ++n };
  const queue = new CommandQueue(gateway, { sink, numbering, replicas: ['r:1', 's:1'] });
  queue.isOpen = isOpen;
  return { gateway, sent, sink, queue };
}

/** A link of a gateway, with the fields that commands use. */
function linkOf(owner: Gateway, payload = Buffer.alloc(10)): Link {
  const data = { gateway: owner, payload } as LinkData;
  const connection = { gateway: owner.id, data: { opened: { principal: '192.0.2.1' } } };
  return { id: 5, data, connection, span: { dialect: 'circuit' } } as unknown as Link;
}

const other = new Gateway('b', '00000001', 'b:1', '1');
const PEER = { gateway: 'b.00000001', serviceAddress: 'b:1', version: '1' } as never;

describe('commands for a gateway', () => {
  it('of one turn are one message, with the epoch and a number; without commands nothing is written', () => {
    const { queue, sent } = rig();
    queue.flush();
    expect(sent).toEqual([]);
    queue.probe(1);
    queue.probe(2);
    queue.close(3, 'why');
    queue.drain({ order: 'o', sharePermille: 1, deadlineMs: 0 });
    queue.linkGone('b.00000001', 9);
    expect(queue.queuedBytes).toBe(8 + 8 + 24 + 3 + 24 + 1 + 40);
    queue.flush();
    expect(sent).toMatchObject([
      {
        epoch: 7,
        n: 1,
        probe: [1, 2],
        close: [{ connection: 3, reason: 'why', inOrder: true }],
        drains: [{ order: 'o' }],
        linksGone: [{ gateway: 'b.00000001', link: 9 }],
      },
    ]);
    expect(queue.queuedBytes).toBe(0);
    queue.probe(3);
    queue.flush();
    expect(sent[1]).toMatchObject({ n: 2, probe: [3], close: [] });
  });

  it('wait until the queue is open', () => {
    const { queue, sent } = rig({ isOpen: false });
    queue.probe(1);
    queue.flush();
    expect([sent, queue.queuedBytes]).toEqual([[], 8]);
    queue.isOpen = true;
    queue.flush();
    expect(sent).toHaveLength(1);
  });

  it('wait, in order, while the gateway does not read', () => {
    const { queue, sent, sink } = rig();
    sink.accepts = false;
    queue.probe(1);
    queue.flush();
    queue.probe(2);
    queue.flush();
    queue.probe(3);
    queue.flush();
    expect([sent.length, queue.queuedBytes]).toEqual([1, 16]);
    sink.accepts = true;
    queue.drained();
    queue.flush();
    expect([sent.map(({ probe }) => probe), queue.queuedBytes]).toEqual([[[1], [2, 3]], 0]);
  });

  it('are divided into messages of half a mebibyte, also while they wait', () => {
    const { gateway, queue, sent, sink } = rig();
    const open = Array.from({ length: 40_000 }, (_, i) => i);
    const numbers = [1, 2, 3].map(() => queue.relays({ link: linkOf(gateway), gateway, open, close: [] }));
    // The second message begins below the limit, the third one beyond it.
    expect(numbers).toEqual([1, 1, 2]);
    sink.accepts = false;
    queue.flush();
    expect([sent.length, queue.queuedBytes]).toEqual([1, 24 + 8 * 40_000]);
    queue.drained();
    queue.flush();
    expect([sent.map(({ relays }) => relays.length), queue.queuedBytes]).toEqual([[2, 1], 0]);
    expect(MAX_QUEUED_BYTES).toBeGreaterThan(1024 * 1024);
  });
});

describe('a link', () => {
  it('of another gateway is described once, with its first relay that opens', () => {
    const { gateway, queue, sent } = rig();
    const link = linkOf(other);
    queue.relays({ link, gateway, open: [], close: [1] });
    queue.flush();
    expect([sent[0]!.links, gateway.knows!.has(link)]).toEqual([[], false]);
    const trace = Buffer.alloc(25);
    queue.relays({ link, gateway, open: [1], close: [] }, trace);
    expect(queue.queuedBytes).toBe(48 + 10 + 9 + 24 + 8 + 25);
    queue.relays({ link, gateway, open: [2], close: [3] });
    queue.flush();
    expect(sent[1]).toMatchObject({
      links: [{ gateway: other.id, link: 5, dialect: 2, principal: '192.0.2.1' }],
      relays: [
        { gateway: other.id, link: 5, open: [1], close: [], trace },
        { gateway: other.id, link: 5, open: [2], close: [3], trace: undefined },
      ],
    });
    expect(gateway.knows!.has(link)).toBe(true);
  });

  it('of the gateway itself is named without a gateway, and not described', () => {
    const { gateway, queue, sent } = rig();
    queue.relays({ link: linkOf(gateway), gateway, open: [1], close: [] });
    queue.flush();
    expect(sent).toMatchObject([{ links: [], relays: [{ gateway: '', link: 5, open: [1] }] }]);
    expect(gateway.knows!.size).toBe(0);
  });
});

describe('another gateway', () => {
  it('is named once, and again with another address or after it was gone; a gateway itself is never named', () => {
    const { gateway, queue, sent } = rig();
    queue.peer(PEER);
    queue.peer(PEER);
    queue.peer({ ...(PEER as object), gateway: gateway.id } as never);
    queue.peer({ ...(PEER as object), serviceAddress: 'b:2' } as never);
    queue.flush();
    expect(sent[0]!.gateways.map(({ serviceAddress }) => serviceAddress)).toEqual(['b:1', 'b:2']);
    queue.peerGone('b.00000001');
    queue.peer({ ...(PEER as object), serviceAddress: 'b:2' } as never);
    queue.flush();
    expect(sent.slice(1)).toMatchObject([{ gatewaysGone: ['b.00000001'], gateways: [{ serviceAddress: 'b:2' }] }]);
  });

  it('is reported gone in a message after all earlier ones about it; several gone ones may share one', () => {
    const { queue, sent } = rig();
    queue.linkGone('b.00000001', 1);
    queue.peerGone('b.00000001');
    queue.peerGone('c.00000001');
    queue.probe(1);
    queue.peerGone('d.00000001');
    queue.flush();
    expect(sent.map(({ linksGone, gatewaysGone, probe }) => [linksGone.length, gatewaysGone, probe])).toEqual([
      [1, [], []],
      [0, ['b.00000001', 'c.00000001'], [1]],
      [0, ['d.00000001'], []],
    ]);
  });
});

it('the addresses of replicas are sent when they differ from those in Welcome', () => {
  const { queue, sent } = rig();
  queue.replicas(['r:1', 's:1']);
  queue.flush();
  expect(sent).toEqual([]);
  for (let i = 0; i < 2; i++) queue.replicas(['r:1']);
  expect(queue.queuedBytes).toBe(3);
  queue.flush();
  expect(sent).toMatchObject([{ replicas: ['r:1'] }]);
});
