import { once } from 'node:events';
import { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { connected } from './connected.fixture.ts';
import { descriptorOf, reopen } from './node-socket.ts';

// Tests that Node's internals are as this code expects. Where they are not, everything still works, only slower
// (docs/decisions/008-sockets.md).

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function pair() {
  const ends = await connected();
  closing.push(ends.close);
  return ends;
}

/** The socket in place of `near`, and the bytes that it receives. */
function reopened(near: Socket) {
  const came: Buffer[] = [];
  const buffer = Buffer.alloc(64);
  const callback = (bytes: number) => came.push(Buffer.from(buffer.subarray(0, bytes))) > 0;
  const result = reopen(near, { buffer, callback });
  if (result !== null) closing.push(() => result.socket.destroy());
  return { result, came };
}

describe('the descriptor of a socket', () => {
  it('exists while it is open, and only for plain TCP', async () => {
    const { near } = await pair();
    expect(descriptorOf(near)).toBeGreaterThan(2);
    class Changing extends Socket {}
    Object.setPrototypeOf(near, Changing.prototype);
    expect(descriptorOf(near)).toBe(-1);
    Object.setPrototypeOf(near, Socket.prototype);
    near.destroy();
    expect(descriptorOf(near)).toBe(-1);
    expect(descriptorOf(new Socket())).toBe(-1);
  });
});

describe('a socket in the place of another', () => {
  it('reads into the given buffer, beginning with the bytes that the other one had buffered', async () => {
    const { near, far } = await pair();
    near.unshift(Buffer.from('held'));
    const { result, came } = reopened(near);
    expect(result?.held?.toString()).toBe('held');
    far.end('x'.repeat(100));
    const ended = result && once(result.socket, 'end');
    result?.socket.resume();
    await ended;
    expect(Buffer.concat(came).toString()).toBe('x'.repeat(100));
    expect(came.every(({ length }) => length <= 64)).toBe(true);
    expect([near.destroyed, descriptorOf(near)]).toEqual([true, -1]);
    expect(result?.socket.destroyed).toBe(false);
  });

  it('is refused when the other one has read its end, or has something to write', async () => {
    const { near, far } = await pair();
    // Makes the socket read ahead, without anybody taking the bytes.
    near.once('readable', () => {});
    far.end('last');
    await once(near, 'readable');
    while (!near.readableEnded && near.readableLength < 5) {
      if ((near as unknown as { _readableState: { ended: boolean } })._readableState.ended) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(reopened(near).result).toBeNull();
    const other = await pair();
    other.near.cork();
    other.near.write('first');
    expect(reopened(other.near).result).toBeNull();
  });
});
