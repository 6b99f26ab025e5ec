import { writeSync, writevSync } from 'node:fs';
import type { Socket } from 'node:net';
import { descriptorOf } from './node-socket.ts';

/**
 * Gives the kernel, at once, what it takes of `slices[from ..]`, and returns how many bytes that was. -1: it cannot be done past the
 * socket, or something that the socket has comes first.
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
    // EAGAIN: the kernel has no room. Anything else the socket finds out when it is given the rest.
    return 0;
  }
}
