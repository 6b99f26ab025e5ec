import { writeSync, writevSync } from 'node:fs';
import type { Socket } from 'node:net';
import { descriptorOf } from './node-socket.ts';

/**
 * Writes as much of `slices[from ..]` as the kernel takes at once, and returns how many bytes that was. -1: the socket
 * has no usable descriptor, or has bytes of its own to write first.
 */
export function writeNow(socket: Socket, slices: readonly Uint8Array[], from: number): number {
  if (socket.writableLength > 0) return -1;
  const fd = descriptorOf(socket);
  if (fd < 0) return -1;
  const first = slices[from];
  if (first === undefined) return 0;
  try {
    if (from + 1 === slices.length) return writeSync(fd, first);
    return writevSync(fd, from === 0 ? slices : slices.slice(from));
  } catch {
    // EAGAIN: the kernel has no room. Any other error shows again when the socket writes the rest.
    return 0;
  }
}
