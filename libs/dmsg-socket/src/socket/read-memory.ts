import type { Socket } from 'node:net';
import { isKernelMemory } from '@spanmesh/dmsg/crypto/chunk-kernel';
import { type Reopened, reopen } from './node-socket.ts';

/**
 * Most bytes of one read. Large enough that a message with 64 KiB of aux data is mostly not cut and need not be
 * collected. Not larger, because that much may still come from each source before it pauses for a destination.
 */
const READ_BYTES = 128 * 1024;

/**
 * The memory into which all connections and trunks read. Messages are written or copied before their read ends, because
 * the next read overwrites it. The buffer is not the whole of its ArrayBuffer, so that it is never given back
 * (give-back.ts).
 */
export const READ_MEMORY: Buffer = Buffer.from(new ArrayBuffer(READ_BYTES + 1), 0, READ_BYTES);

/**
 * Whether the bytes are in READ_MEMORY and so will be overwritten after this read: code that keeps them must copy them.
 * Or in the memory of the chunk kernel, where decrypted bytes are overwritten by the next decryption, and encrypted
 * ones, which the socket takes from there, by the next encryption.
 */
export function isTransient(bytes: Uint8Array): boolean {
  const memory = bytes.buffer;
  return memory === READ_MEMORY.buffer || isKernelMemory(memory);
}

/** A copy of the bytes, not from Buffer's pool: a slice would keep the whole pool alive, uncounted. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

/**
 * Makes `take` the reader of a connected socket that nobody reads or listens to. Returns the socket to use from now on,
 * paused, and the bytes that it had buffered, which come first.
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
