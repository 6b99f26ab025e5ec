import type { Socket } from 'node:net';
import { type Reopened, reopen } from './node-socket.ts';

/**
 * Bytes that one read takes at most: a message with 64 KiB of aux data is mostly not cut, so that it need not be collected; and no more,
 * because that much of each source may come before it waits for a destination.
 */
const READ_BYTES = 128 * 1024;

/**
 * What all connections and trunks are read into. What a read leads to is written, or copied, before it ends: the next one overwrites it.
 * The buffer is not the whole of its memory, so that it is never given back (give-back.ts).
 */
export const READ_MEMORY: Buffer = Buffer.from(new ArrayBuffer(READ_BYTES + 1), 0, READ_BYTES);

/** The bytes are overwritten once the read that goes on is over: who wants to keep them copies them. */
export function isTransient(bytes: Uint8Array): boolean {
  return bytes.buffer === READ_MEMORY.buffer;
}

/** The same bytes in memory of their own: not from Buffer's pool, which a slice would keep alive, uncounted. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

/**
 * Makes `take` the reader of a connected socket that nobody reads and nobody listens to, and returns the socket to go on with: it is
 * paused, and what it holds comes first.
 */
export function readWith(connected: Socket, take: (chunk: Uint8Array) => void): Reopened {
  const callback = (bytes: number) => {
    take(READ_MEMORY.subarray(0, bytes));
    return true;
  };
  const reopened = reopen(connected, { buffer: READ_MEMORY, callback });
  if (reopened !== null) return reopened;
  connected.on('data', take);
  connected.pause();
  return { socket: connected, held: null };
}
