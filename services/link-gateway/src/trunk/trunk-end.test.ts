import { connect, createServer, type Socket } from 'node:net';
import { LNK_PING } from '@spanmesh/dmsg/command';
import { TRUNK } from '@spanmesh/dmsg/dialect';
import { encodeMessage } from '@spanmesh/dmsg/message';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { afterEach, describe, expect, it } from 'vitest';
import { FakeTerminal } from './trunk.fixture.ts';
import { TrunkEnd } from './trunk-end.ts';
import { TrunkMetrics } from './trunk-metrics.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** An end of a trunk on a socket of the loopback, and the other side's socket. */
async function attached() {
  const terminal = new FakeTerminal();
  const metrics = new TrunkMetrics();
  const end = new TrunkEnd({
    self: 'a.00000001',
    clock: new FakeClock(),
    metrics,
    terminal,
    destinations: terminal,
    flushLater: (dirty) => setImmediate(() => dirty.flush()),
    ended: () => {},
  });
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer(accepted.resolve).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const far = connect((server.address() as { port: number }).port, '127.0.0.1');
  const near = await accepted.promise;
  end.attach(near, Buffer.alloc(0));
  closing.push(() => {
    end.lose('stopping');
    far.destroy();
    server.close();
  });
  return { end, metrics, near, far };
}

describe('an end of a trunk', () => {
  it('gives back the memory of a read that it has copied', async () => {
    const { near, metrics } = await attached();
    const fields = { rules: TRUNK, cmd: LNK_PING, aux: Buffer.alloc(65536), salt: 0 };
    const read = Buffer.allocUnsafeSlow(32768);
    read.set(encodeMessage(fields).subarray(0, read.length));
    near.emit('data', read);
    expect(metrics.bytesIn).toBe(32768);
    expect(read.buffer.byteLength).toBe(0);
  });
});
