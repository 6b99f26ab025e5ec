import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { SendQueue } from '@spanmesh/dmsg-socket/stream/send-queue';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, describe, expect, it } from 'vitest';
import { KernelQueues } from './kernel-queues.ts';

const MESSAGE = 1024 * 1024;

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** A socket of ours, and the peer at its other end, which reads when it is told to. */
async function pair(host: string): Promise<{ ours: Socket; peer: Socket }> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const ours = connect({ host, port: address.port });
  const [peer] = (await once(server, 'connection')) as [Socket];
  peer.pause();
  await once(ours, 'connect');
  for (const socket of [ours, peer]) {
    socket.on('error', () => {});
    cleanups.push(() => socket.destroy());
  }
  cleanups.push(() => server.close());
  return { ours, peer };
}

/** Reads so many bytes and no more. */
async function read(peer: Socket, bytes: number): Promise<void> {
  for (let left = bytes; left > 0; ) {
    const chunk = peer.read(Math.min(left, peer.readableLength)) as Buffer | null;
    if (chunk !== null) left -= chunk.length;
    else await once(peer, 'readable');
  }
}

describe('unacknowledged bytes of a socket', () => {
  it.each(['127.0.0.1', '::1'])('are told, over %s', async (host) => {
    const { ours, peer } = await pair(host);
    const clock = new FakeClock();
    const queues = new KernelQueues({ clock });
    expect(queues.bytesOf(ours)).toBe(0);
    while (ours.write(Buffer.alloc(MESSAGE)));
    clock.advance(1000);
    const full = queues.bytesOf(ours)!;
    expect(full).toBeGreaterThan(0);
    ours.destroy();
    peer.destroy();
    await Promise.all([once(ours, 'close'), once(peer, 'close')]);
    clock.advance(1000);
    expect(queues.bytesOf(ours)).toBeNull();
  });

  it('are read once for all who ask at a time, and are unknown without /proc', () => {
    let reads = 0;
    const clock = new FakeClock();
    const read = () => {
      reads++;
      throw new Error('no /proc');
    };
    const queues = new KernelQueues({ clock, read });
    const ends = { localAddress: '::ffff:127.0.0.1', localPort: 1, remoteAddress: '::ffff:127.0.0.2', remotePort: 2 };
    // A socket that is gone has no ends: nothing is read for it.
    for (const gone of ['localAddress', 'localPort', 'remoteAddress', 'remotePort'] as const) {
      expect(queues.bytesOf({ ...ends, [gone]: undefined })).toBeNull();
    }
    expect([queues.bytesOf({ ...ends, localAddress: 'x' }), reads]).toEqual([null, 0]);
    for (let i = 0; i < 1000; i++) expect(queues.bytesOf(ends)).toBeNull();
    expect(reads).toBe(2);
  });

  it('of an IPv4 peer at a dual-stack listener are found in the table of IPv6', () => {
    const line =
      '   0: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000200007F:0400 01 0000BEEF:00000000 00:00000000\n';
    const read = (path: string) => Buffer.from(path.endsWith('6') ? line : '');
    const queues = new KernelQueues({ clock: new FakeClock(), read });
    const ends = {
      localAddress: '::ffff:127.0.0.1',
      localPort: 8080,
      remoteAddress: '::ffff:127.0.0.2',
      remotePort: 1024,
    };
    expect(queues.bytesOf(ends)).toBe(0xbeef);
  });
});

describe('a peer that reads slowly, behind a kernel with a large buffer', () => {
  it('is not stalled as long as it reads, and is when it does not', async () => {
    const { ours, peer } = await pair('127.0.0.1');
    const clock = new FakeClock();
    const queues = new KernelQueues({ clock });
    const heard: string[] = [];
    let drains = 0;
    const queue = new SendQueue(
      { limitBytes: 64 * MESSAGE, stallMs: 10_000 },
      {
        socket: ours,
        clock,
        owner: {
          flushLater: () => {},
          drained: () => drains++,
          overLimit: () => heard.push('over limit'),
          stalled: () => heard.push('stalled'),
          onFailed: () => {},
        },
        counts: { bytesOut: 0 },
        unacknowledged: () => queues.bytesOf(ours),
      },
    );
    for (let i = 0; i < 24; i++) queue.out.pass(Buffer.allocUnsafeSlow(MESSAGE), 0, MESSAGE);
    queue.flush();
    // Until the kernel takes no more. One byte read makes it send a little, and report no drain.
    await read(peer, 1);
    let before: number;
    do {
      before = drains;
      await new Promise((resolve) => setImmediate(resolve));
    } while (drains !== before);
    // 600,000 bytes in 7.5 s are 80 KB/s; the clock goes on once the kernel shows that they were read.
    for (let ms = 0; ms < 60_000; ms += 7_500) {
      const now = () => [drains, new KernelQueues({ clock }).bytesOf(ours)].join();
      const then = now();
      await read(peer, 600_000);
      await until(() => now() !== then);
      clock.advance(7_500);
      expect(heard).toEqual([]);
    }
    // The bytes that were read last are acknowledged a moment later.
    await until(() => {
      clock.advance(2_500);
      return heard.length > 0;
    });
    expect(heard).toEqual(['stalled']);
  });
});
