import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { LNK_PING } from '@spanmesh/dmsg/command';
import { TRUNK } from '@spanmesh/dmsg/dialect';
import { encodeMessage } from '@spanmesh/dmsg/message';
import { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { QUEUE_LIMIT_BYTES, QUEUE_LOW_BYTES } from './limits.ts';
import { FakeTerminal } from './trunk.fixture.ts';
import { TrunkEnd } from './trunk-end.ts';
import type { TrunkLossReason } from './trunk-metrics.ts';
import { TrunkMetrics } from './trunk-metrics.ts';
import { WindowShares } from './window-shares.ts';

/** An end of a trunk on a socket that delivers the bytes that the test gives it, in chunks of its own as TLS does. */
function attached({ isProtected = false } = {}) {
  const terminal = new FakeTerminal();
  const metrics = new TrunkMetrics();
  const lost: TrunkLossReason[] = [];
  const end = new TrunkEnd({
    self: 'a.00000001',
    clock: new FakeClock(),
    metrics,
    terminal,
    destinations: terminal,
    flow: new Flow(),
    inSlices: (job) => void [...job],
    shares: new WindowShares({ sendLimit: 1 << 24 }),
    isProtected,
    flushLater: () => {},
    ended: (_end, reason) => void lost.push(reason),
  });
  const socket = new PassThrough() as unknown as Socket;
  /** Bytes written to the socket that the kernel has not taken. */
  let waiting = 0;
  Object.defineProperty(socket, 'writableLength', { get: () => waiting });
  end.attach(socket, Buffer.alloc(0));
  return {
    end,
    metrics,
    lost,
    read: (chunk: Uint8Array) => socket.emit('data', chunk),
    flushWith: (bytes: number) => {
      waiting = bytes;
      end.flush();
    },
  };
}

function ping(auxBytes: number): Uint8Array {
  return encodeMessage({ rules: TRUNK, cmd: LNK_PING, aux: Buffer.alloc(auxBytes, 7), salt: 0 });
}

describe('an end of a trunk', () => {
  it('gives back the memory of a read once it has copied the bytes', () => {
    const { read, metrics } = attached();
    const chunk = Buffer.allocUnsafeSlow(32768);
    chunk.set(ping(65536).subarray(0, chunk.length));
    read(chunk);
    expect(metrics.bytesIn).toBe(32768);
    expect(chunk.buffer.byteLength).toBe(0);
  });

  it('verifies aux data, unless the trunk itself protects its bytes', () => {
    const bad = ping(100);
    bad[70]! ^= 1;
    const open = attached();
    open.read(Uint8Array.from(bad));
    expect([open.metrics.messagesIn, open.lost]).toEqual([0, ['protocol-error']]);
    const covered = attached({ isProtected: true });
    covered.read(Uint8Array.from(bad));
    expect([covered.metrics.messagesIn, covered.lost]).toEqual([1, []]);
  });

  // Limits: trunk/limits.ts QUEUE_LOW_BYTES
  it('lets waiting routes go on once fewer bytes are queued', () => {
    const { end, flushWith } = attached();
    let rechecks = 0;
    end.waiting.add({ recheck: () => rechecks++ });
    flushWith(QUEUE_LOW_BYTES);
    expect([rechecks, end.waiting.size]).toEqual([0, 1]);
    flushWith(QUEUE_LOW_BYTES - 1);
    expect([rechecks, end.waiting.size]).toEqual([1, 0]);
  });

  // Limits: trunk/limits.ts QUEUE_LIMIT_BYTES
  it('is given up when more bytes are queued than may', () => {
    const { end, lost, flushWith } = attached();
    flushWith(QUEUE_LIMIT_BYTES);
    expect([end.isLost, lost]).toEqual([false, []]);
    flushWith(QUEUE_LIMIT_BYTES + 1);
    expect([end.isLost, lost]).toEqual([true, ['queue-limit']]);
  });
});
