import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { addressBytes } from '@spanmesh/dmsg-socket/address/numeric-address';
import type { Clock } from '@spanmesh/runtime/clock';

/** The kernel's tables of TCP sockets (proc(5)). IPv4 peers of a dual-stack listener are in the table of IPv6. */
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];
/** Milliseconds for which a table is kept once read: it has a line for each socket, and many may ask at a time. */
const TABLE_MS = 250;

/** The addresses and ports that identify a socket. */
export type SocketEnds = Pick<Socket, 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'>;

/**
 * Tells how many bytes of a socket the kernel holds that the peer has not acknowledged. Node reports a drain only when
 * the kernel has room for much more: with a large buffer and a slow peer that can take half a minute, although the peer
 * reads all the time.
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

  /** Unacknowledged bytes; null: there are no such tables (no Linux), or the socket is gone. */
  bytesOf({ localAddress, localPort, remoteAddress, remotePort }: SocketEnds): number | null {
    const local = endText(localAddress, localPort);
    const remote = endText(remoteAddress, remotePort);
    if (local === null || remote === null) return null;
    this.#refresh();
    for (const table of this.#tables) {
      const key = `${local} ${remote} `;
      const at = table.indexOf(key);
      if (at < 0) continue;
      // Two digits of state and a space come before the size of the queue.
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

/**
 * Address and port as the tables write them: each 32 bits in the byte order of the host, little-endian wherever we run.
 */
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
