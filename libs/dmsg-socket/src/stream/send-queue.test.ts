import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { notingOwner } from './send-queue.fixture.ts';
import { SendQueue } from './send-queue.ts';

const LIMIT = 1_000;
const HIGH_WATER = 100;

/** A socket that completes a write only when the test says so, and records the sizes of the writes. */
class SlowSocket extends Writable {
  readonly writes: number[] = [];
  #taken: (() => void) | null = null;

  constructor() {
    super({ highWaterMark: HIGH_WATER });
  }

  override _writev(chunks: { chunk: Buffer }[], taken: () => void): void {
    this.writes.push(chunks.reduce((bytes, { chunk }) => bytes + chunk.length, 0));
    this.#taken = taken;
  }

  /** Completes the write that is going on; `drain` follows. */
  async take(): Promise<void> {
    const taken = this.#taken;
    this.#taken = null;
    taken?.();
    await new Promise((resolve) => process.nextTick(resolve));
  }
}

function setUp({ unacknowledged }: { unacknowledged?: () => number } = {}) {
  const socket = new SlowSocket();
  const clock = new FakeClock();
  const { owner, heard } = notingOwner();
  const queue = new SendQueue(
    { limitBytes: LIMIT, stallMs: 10_000 },
    {
      socket: socket as unknown as Socket,
      clock,
      owner,
      counts: { bytesOut: 0 },
      ...(unacknowledged !== undefined && { unacknowledged }),
    },
  );
  const put = (bytes: number) => queue.out.pass(Buffer.alloc(bytes), 0, bytes);
  return { socket, clock, heard, queue, put };
}

describe('the queue of a socket', () => {
  it('asks for one flush a turn, and is written at once', () => {
    const { socket, heard, queue, put } = setUp();
    for (const bytes of [10, 20, 30]) put(bytes);
    expect(heard).toEqual(['flush later']);
    queue.flush();
    expect(socket.writes).toEqual([60]);
    put(1);
    expect(heard).toEqual(['flush later', 'flush later']);
  });

  it('keeps bytes, counted, while the socket is full, and goes on when it drains', async () => {
    const { socket, heard, queue, put } = setUp();
    for (let i = 0; i < 5; i++) put(80);
    queue.flush();
    expect(socket.writes).toEqual([160]);
    expect(queue.bytes).toBe(400);
    await socket.take();
    expect(socket.writes).toEqual([160, 160]);
    expect(queue.bytes).toBe(240);
    await socket.take();
    expect(socket.writes).toEqual([160, 160, 80]);
    expect(heard.filter((what) => what === 'drained')).toHaveLength(2);
  });

  it('counts what waits elsewhere for its turn, and says when that has gone', () => {
    const { heard, queue, put } = setUp();
    queue.out.hold(LIMIT);
    expect(heard.splice(0)).toEqual(['flush later']);
    queue.flush();
    expect([queue.bytes, heard.splice(0)]).toEqual([LIMIT, []]);
    queue.out.hold(1);
    queue.flush();
    expect(heard.splice(0)).toEqual(['flush later', 'over limit']);
    queue.out.hold(-LIMIT - 1);
    put(10);
    queue.flush();
    expect([queue.bytes, heard.splice(0).at(-1)]).toEqual([10, 'drained']);
  });

  it('copies what has to wait out of a larger buffer, once', async () => {
    const { socket, queue } = setUp();
    const read = Buffer.alloc(64 * 1024, 1);
    for (let i = 0; i < 5; i++) {
      queue.out.pass(read, 1000 * i, 1000 * i + 80);
      queue.flush();
    }
    // The first two are already in the socket.
    read.fill(2);
    const bytes: number[] = [];
    socket._writev = (chunks, taken) => {
      for (const { chunk } of chunks) bytes.push(...chunk);
      taken();
    };
    await socket.take();
    await socket.take();
    expect(bytes.slice(-3 * 80)).toEqual(Array(3 * 80).fill(1));
  });

  it('says when more bytes wait than the limit', () => {
    const { heard, queue, put } = setUp();
    for (let i = 0; i < 10; i++) put(LIMIT / 10);
    queue.flush();
    expect(heard).toEqual(['flush later']);
    put(1);
    queue.flush();
    expect(heard.at(-1)).toBe('over limit');
  });

  it('says when nothing has drained for too long, and only then', async () => {
    const { socket, clock, heard, queue, put } = setUp();
    for (let i = 0; i < 5; i++) put(80);
    queue.flush();
    clock.advance(9_000);
    await socket.take();
    clock.advance(9_999);
    expect(heard).not.toContain('stalled');
    clock.advance(1);
    expect(heard).toContain('stalled');
  });

  it('counts bytes that only the kernel got rid of as drained, unless they are very few', () => {
    let kernel = 100_000;
    const { clock, heard, queue, put } = setUp({ unacknowledged: () => kernel });
    put(200);
    queue.flush();
    for (let seconds = 0; seconds < 60; seconds += 5) {
      kernel -= 20_000;
      clock.advance(5_000);
    }
    expect(heard).not.toContain('stalled');
    for (let seconds = 0; seconds < 10; seconds += 5) {
      kernel -= 100;
      clock.advance(5_000);
    }
    expect(heard).toContain('stalled');
  });

  it('never calls an idle socket stalled', async () => {
    const { socket, clock, heard, queue, put } = setUp();
    put(200);
    queue.flush();
    clock.advance(9_999);
    await socket.take();
    clock.advance(100_000);
    expect(heard).not.toContain('stalled');
    expect(clock.pending).toBe(0);
  });
});
