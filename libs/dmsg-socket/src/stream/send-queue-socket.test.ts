import { once } from 'node:events';
import { StreamOpener } from '@spanmesh/dmsg/crypto/stream-opener';
import { StreamSealer } from '@spanmesh/dmsg/crypto/stream-sealer';
import { systemClock } from '@spanmesh/runtime/clock';
import { afterEach, describe, expect, it } from 'vitest';
import { connected } from '../socket/connected.fixture.ts';
import { READ_MEMORY } from '../socket/read-memory.ts';
import { notingOwner } from './send-queue.fixture.ts';
import { SendQueue } from './send-queue.ts';

const READ_BYTES = READ_MEMORY.length;
/** More reads than the kernels of both sides can buffer. */
const READS = 200;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

const MESSAGE_BYTES = 1000;

/** Writes message number `n` into memory of the queue. */
function writeMessage({ out }: SendQueue, n: number): Buffer {
  out.reserve(MESSAGE_BYTES);
  for (let at = 0; at < MESSAGE_BYTES; at++) out.buf[out.at + at] = n + 31 * at;
  return Buffer.from(out.buf.subarray(out.at, out.at + MESSAGE_BYTES));
}

/** @param session the key material of the queue's stream; null: plaintext. */
async function setUp(session: Uint8Array | null = null) {
  const { near, far, close } = await connected();
  closing.push(close);
  const { owner, heard } = notingOwner();
  const queue = new SendQueue(
    { limitBytes: 2 * READS * READ_BYTES, stallMs: 60_000 },
    { socket: near, clock: systemClock, owner, counts: { bytesOut: 0 }, sealer: session && new StreamSealer(session) },
  );
  return { near, far, heard, queue };
}

/**
 * Passes read number `n` on in two halves that do not follow each other in memory, as a later read would find and
 * overwrite it.
 */
function passRead(queue: SendQueue, n: number): Buffer {
  for (let at = 0; at < READ_BYTES; at += 4) READ_MEMORY.writeUInt32LE((n * READ_BYTES + at) >>> 0, at);
  const half = READ_BYTES / 2;
  queue.out.pass(READ_MEMORY, half, READ_BYTES);
  queue.out.pass(READ_MEMORY, 0, half);
  const expected = Buffer.concat([READ_MEMORY.subarray(half), READ_MEMORY.subarray(0, half)]);
  queue.flush();
  READ_MEMORY.fill(0xff);
  return expected;
}

// Runs twice: with Node's internals that this code uses, and without them (vitest.config.ts).
describe('messages passed on out of the memory of reads', () => {
  it('arrive whole and in order at a peer that reads late, whatever is read in between', async () => {
    const { far, queue, heard } = await setUp();
    const sent: Buffer[] = [];
    for (let n = 0; n < READS; n++) sent.push(passRead(queue, n));
    // The kernel did not take everything: the rest waits in the queue.
    expect(queue.bytes).toBeGreaterThan(0);
    const came: Buffer[] = [];
    let bytes = 0;
    far.on('data', (chunk) => {
      came.push(chunk);
      bytes += chunk.length;
    });
    while (bytes < READS * READ_BYTES) await new Promise((resolve) => setImmediate(resolve));
    expect(Buffer.concat(came).equals(Buffer.concat(sent))).toBe(true);
    while (queue.bytes > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(heard).toContain('drained');
    expect(heard).not.toContain('stalled');
  });

  it('are still sent when the connection ends', async () => {
    const { near, far, queue } = await setUp();
    const sent = [passRead(queue, 0)];
    for (let n = 1; n < READS; n++) sent.push(passRead(queue, n));
    for (let at = 0; at < READ_BYTES; at++) READ_MEMORY[at] = at;
    queue.out.pass(READ_MEMORY, 0, 1000);
    sent.push(Buffer.from(READ_MEMORY.subarray(0, 1000)));
    queue.flushAll();
    READ_MEMORY.fill(0xff);
    near.end();
    const came: Buffer[] = [];
    far.on('data', (chunk) => came.push(chunk));
    await once(far, 'end');
    expect(Buffer.concat(came).equals(Buffer.concat(sent))).toBe(true);
  });

  it('arrive encrypted, whole and in order, at peers that read late, whatever others encrypt in between', async () => {
    const sessions = [Buffer.alloc(64, 1), Buffer.alloc(64, 2)];
    const ends = await Promise.all(sessions.map(setUp));
    const sent: Buffer[][] = [[], []];
    // For each peer still more than the system's buffers take.
    const reads = READS / 4;
    for (let n = 0; n < reads; n++) {
      for (const [i, { queue }] of ends.entries()) sent[i]!.push(passRead(queue, 2 * n + i));
    }
    for (const [i, { near, far, queue }] of ends.entries()) {
      expect(queue.bytes).toBeGreaterThan(0);
      // More at once than the chunk kernel has room for.
      const large = Buffer.alloc(8 * READ_BYTES, i);
      queue.out.pass(large, 0, large.length);
      sent[i]!.push(large);
      if (i === 0) queue.flush();
      else queue.flushAll();
      const opener = new StreamOpener(sessions[i]!);
      const came: Buffer[] = [];
      let bytes = 0;
      far.on('data', (chunk) => {
        opener.open(chunk, {
          onPlain: (plain) => {
            came.push(Buffer.from(plain));
            bytes += plain.length;
          },
        });
      });
      while (bytes < reads * READ_BYTES + large.length) await new Promise((resolve) => setImmediate(resolve));
      expect(Buffer.concat(came).equals(Buffer.concat(sent[i]!))).toBe(true);
      near.destroy();
    }
  });

  it('make the queue say that it has drained even if nothing had to wait', async () => {
    const { far, queue, heard } = await setUp();
    far.resume();
    passRead(queue, 0);
    while (queue.bytes > 0) await new Promise((resolve) => setImmediate(resolve));
    passRead(queue, 1);
    while (!heard.includes('drained')) await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('messages that are written', () => {
  it('arrive whole and in order, at a peer that reads late and at one that reads, in memory that is used again', async () => {
    const [late, other] = await Promise.all([setUp(), setUp()]);
    const ends = [late, other].map(({ queue }) => ({ queue, came: [] as Buffer[], sent: [] as Buffer[] }));
    other.far.on('data', (chunk: Buffer) => ends[1]!.came.push(chunk));
    // More than the kernels of both sides can buffer, in turns of up to three arenas.
    for (let n = 0; n < 500; n++) {
      for (const [i, { queue, sent }] of ends.entries()) {
        for (let k = 0; k <= (n * (i + 3)) % 48; k++) sent.push(writeMessage(queue, n + k));
        queue.flush();
      }
      if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(late.queue.bytes).toBeGreaterThan(0);
    late.far.on('data', (chunk: Buffer) => ends[0]!.came.push(chunk));
    for (const { came, sent } of ends) {
      const expected = Buffer.concat(sent);
      while (came.reduce((bytes, chunk) => bytes + chunk.length, 0) < expected.length) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(Buffer.concat(came).equals(expected)).toBe(true);
    }
  });
});
