import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { addressBytes } from '@spanmesh/dmsg-socket/address/numeric-address';
import type { Clock } from '@spanmesh/runtime/clock';

/** Tables of the kernel (proc(5)): TCP sockets of IPv4, and those of IPv6, which IPv4 peers of a dual-stack listener have, too. */
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];
/** Milliseconds for which a table is good once it is read: it has a line for each socket, and many may ask at a time. */
const TABLE_MS = 250;

/** Of a socket, what tells it from others. */
export type SocketEnds = Pick<Socket, 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'>;

/**
 * How much of a socket's data the kernel has and the peer has not acknowledged. Node says that a socket has drained when the kernel has
 * room for a good deal more: with a large buffer and a slow peer that can be half a minute in which the peer has read all the time.
 */
export class KernelQueues {
  readonly #clock: Clock;
  readonly #read: (path: string) => Buffer;
  #tables: readonly Buffer[] = [];
  #readAt = Number.NEGATIVE_INFINITY;

  constructor({ clock, read = readFileSync }: { readonly clock: Clock; readonly read?: (path: string) => Buffer }) {
    this.#clock = clock;
    this.#read = read;
  }

  /** Bytes; null: it cannot be told here (no Linux), or the socket is gone. */
  bytesOf({ localAddress, localPort, remoteAddress, remotePort }: SocketEnds): number | null {
    const local = endText(localAddress, localPort);
    const remote = endText(remoteAddress, remotePort);
    if (local === null || remote === null) return null;
    this.#refresh();
    for (const table of this.#tables) {
      const key = `${local} ${remote} `;
      const at = table.indexOf(key);
      if (at < 0) continue;
      // The state, two digits, stands before it.
      const start = at + key.length + 3;
      return Number.parseInt(table.toString('latin1', start, start + 8), 16);
    }
    return null;
  }

  #refresh(): void {
    const now = this.#clock.now();
    if (now - this.#readAt < TABLE_MS) return;
    this.#readAt = now;
    this.#tables = TABLES.flatMap((path) => {
      try {
        return [this.#read(path)];
      } catch {
        return [];
      }
    });
  }
}

/** As the tables have it: each 32 bits of the address in the order of the host's bytes, which is little-endian wherever we run. */
function endText(address: string | undefined, port: number | undefined): string | null {
  if (address === undefined || port === undefined) return null;
  const bytes = addressBytes(address);
  if (bytes === null) return null;
  const isMapped = address.includes(':') && bytes.length === 4;
  let text = isMapped ? '0000000000000000FFFF0000' : '';
  for (let word = 0; word < bytes.length; word += 4) {
    for (const byte of bytes.subarray(word, word + 4).toReversed()) text += hex(byte, 2);
  }
  return `${text}:${hex(port, 4)}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}
