import { readdirSync, readFileSync } from 'node:fs';
import type { Clock } from '@spanmesh/runtime/clock';

/** Descriptors that are kept from peers, for files, name servers, other services and the API. */
const RESERVED_FILES = 64;
/** The share of the limit that is kept from peers, if that is less than RESERVED_FILES. */
const RESERVED_SHARE = 0.25;
/** Milliseconds for which a count is used: to count means to list all open descriptors. */
const COUNT_MS = 1000;
/** Milliseconds for which a count is used while fewer than half of the allowed descriptors are open. */
const RARE_COUNT_MS = 10_000;

export interface FileDescriptorsDependencies {
  readonly clock: Clock;
  /** Descriptors that are open in this process; null: not known. */
  readonly count?: () => number | null;
  /** Descriptors that may be open in this process; null: not known. */
  readonly limit?: () => number | null;
}

/**
 * Tells whether there is a descriptor for the socket of one more peer. Past the limit of the system libuv accepts a
 * connection and closes it without telling anybody, and no file can be opened either. So peers are refused some way
 * before the limit, which is counted and logged.
 */
export class FileDescriptors {
  readonly #clock: Clock;
  readonly #count: () => number | null;
  /** Descriptors that may be open before peers are refused. */
  readonly #room: number;
  /** Descriptors that were open at the last count. */
  #open = 0;
  #countedAt = Number.NEGATIVE_INFINITY;
  /** Sockets of peers at the last count. */
  #socketsThen = 0;

  constructor({ clock, count = countOpen, limit = readLimit }: FileDescriptorsDependencies) {
    this.#clock = clock;
    this.#count = count;
    const most = limit() ?? Number.POSITIVE_INFINITY;
    this.#room = most - Math.min(RESERVED_FILES, Math.ceil(most * RESERVED_SHARE));
  }

  /** No descriptor is left for a peer. `sockets`: open sockets of peers, which the count includes. */
  isFull(sockets: number): boolean {
    if (this.#room === Number.POSITIVE_INFINITY) return false;
    const now = this.#clock.now();
    const isRoomy = this.#open + sockets - this.#socketsThen < this.#room / 2;
    if (now - this.#countedAt >= (isRoomy ? RARE_COUNT_MS : COUNT_MS)) {
      this.#countedAt = now;
      this.#open = this.#count() ?? 0;
      this.#socketsThen = sockets;
    }
    return this.#open + sockets - this.#socketsThen >= this.#room;
  }
}

function countOpen(): number | null {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return null;
  }
}

function readLimit(): number | null {
  try {
    const found = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
    return found === null ? null : Number(found[1]);
  } catch {
    return null;
  }
}
