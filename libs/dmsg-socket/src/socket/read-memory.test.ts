import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { cipherPair } from '../handshake/cipher-pair.ts';
import { connected } from './connected.fixture.ts';
import { copyOf, isTransient, READ_MEMORY, readWith } from './read-memory.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function reading() {
  const { near, far, close } = await connected();
  near.unshift(Buffer.from('held '));
  const came: Buffer[] = [];
  const { socket, held } = readWith(near, (chunk) => came.push(Buffer.from(chunk)));
  if (held !== null) came.push(Buffer.from(held));
  closing.push(close, () => socket.destroy());
  return { socket, far, came: () => Buffer.concat(came).toString() };
}

// Runs twice: with Node's internals that this code uses, and without them (vitest.config.ts).
describe('a connection that is read', () => {
  it('receives everything in order, then the end, and can still be written to', async () => {
    const { socket, far, came } = await reading();
    expect(socket.isPaused() || socket.readableFlowing === false).toBe(true);
    socket.resume();
    const ended = once(socket, 'end');
    far.write('first ');
    far.end('last');
    await ended;
    expect(came()).toBe('held first last');
    socket.end('answer');
    const [answer] = await once(far, 'data');
    expect(String(answer)).toBe('answer');
  });

  it('receives nothing while it is paused', async () => {
    const { socket, far, came } = await reading();
    socket.resume();
    far.write('1');
    while (came().length < 6) await new Promise((resolve) => setImmediate(resolve));
    socket.pause();
    far.write('2');
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(came()).toBe('held 1');
    socket.resume();
    while (came().length < 7) await new Promise((resolve) => setImmediate(resolve));
    expect(came()).toBe('held 12');
  });
});

describe('the memory of reads', () => {
  it('is recognised, and is never the whole of its ArrayBuffer', () => {
    expect(isTransient(READ_MEMORY.subarray(5, 6))).toBe(true);
    expect(READ_MEMORY.buffer.byteLength).toBeGreaterThan(READ_MEMORY.length);
    const copy = copyOf(READ_MEMORY.subarray(0, 10).fill(7));
    expect(isTransient(copy)).toBe(false);
    READ_MEMORY.fill(8);
    expect(copy).toEqual(Buffer.alloc(10, 7));
  });

  it('includes the memory that streams are sealed and opened in', () => {
    const { sealer, opener } = cipherPair(Buffer.alloc(64, 1), Buffer.alloc(64, 1), true);
    const wire = sealer.seal(Buffer.alloc(64));
    const seen: boolean[] = [];
    opener.open(wire, { onPlain: (plain) => seen.push(isTransient(plain)) });
    expect([isTransient(wire), ...seen]).toEqual([false, true]);
    expect(sealer.sealSlices([Buffer.alloc(64)]).map(isTransient)).toEqual([true]);
  });
});
