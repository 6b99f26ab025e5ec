import { readdirSync, readFileSync } from 'node:fs';
import type { Clock } from '@spanmesh/runtime/clock';

/** Descriptors that are left for everything else than peers: files, name servers, other services, the API. */
const RESERVED_FILES = 64;
/** The same as a share of the limit, if that is less. */
const RESERVED_SHARE = 0.25;
/** Milliseconds for which a count is good: to count means to list all of them. */
const COUNT_MS = 1000;
/** The same while less than half of what may be open is. */
const RARE_COUNT_MS = 10_000;

export interface FileDescriptorsDependencies {
  readonly clock: Clock;
  /** Those that are open in this process; null: that cannot be told. */
  readonly count?: () => number | null;
  /** Those that may be open; null: that cannot be told. */
  readonly limit?: () => number | null;
}

/**
 * Whether there is room for one more socket. Past the limit of the system, a connection is accepted and closed by libuv, and nobody hears of
 * it; and nothing else can be opened either. So peers are refused some way before, and that is counted and logged.
 */
export class FileDescriptors {
  readonly #clock: Clock;
  readonly #count: () => number | null;
  /** How many may be open before peers are refused. */
  readonly #room: number;
  #open = 0;
  #countedAt = Number.NEGATIVE_INFINITY;
  /** Sockets of peers at that time. */
  #socketsThen = 0;

  constructor({ clock, count = countOpen, limit = readLimit }: FileDescriptorsDependencies) {
    this.#clock = clock;
    this.#count = count;
    const most = limit() ?? Number.POSITIVE_INFINITY;
    this.#room = most - Math.min(RESERVED_FILES, Math.ceil(most * RESERVED_SHARE));
  }

  /** None is left for a peer; `sockets`: those of peers that are open, which are a part of what is counted. */
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
