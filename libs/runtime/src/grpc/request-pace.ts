import {
  type MethodDefinition,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import { apiPrincipal } from '../access/api-principal.ts';
import type { Clock, Timer } from '../clock.ts';
import type { PoolLimit } from '../shares/pool.ts';

/** Bytes of large requests that a user of the API may send at once. Past them his next calls are read later. */
export const MAX_REQUEST_BYTES_AT_ONCE = 4 * 1024 * 1024;
/**
 * Bytes of large requests that a user of the API may send for long. Beside twice as many, peers kept 82 % of their
 * rate.
 */
export const MAX_REQUEST_BYTES_PER_SECOND = 1024 * 1024;
/** Longest request that costs nothing, bytes. */
export const MAX_SMALL_REQUEST_BYTES = 64 * 1024;
/** What a request counts from when its reading begins until its length is known, bytes. */
const UNREAD_BYTES = 256 * 1024;
/** After this time a call that sends no request holds up the user's next one no longer, ms. */
const PATIENCE_MS = 100;
const BYTES_PER_MS = MAX_REQUEST_BYTES_PER_SECOND / 1000;

const sizes = new WeakMap<object, number>();
/** Large requests that could not be decoded, in order, until their calls have ended: in the same turn. */
const undecoded = new Set<{ readonly bytes: number }>();

/** The method with the sizes of its large requests noted, for `paceRequests`. */
export function sizedMethod<Request, Response>(
  method: MethodDefinition<Request, Response>,
): MethodDefinition<Request, Response> {
  return {
    ...method,
    requestDeserialize(bytes) {
      if (bytes.length <= MAX_SMALL_REQUEST_BYTES) return method.requestDeserialize(bytes);
      try {
        const request = method.requestDeserialize(bytes);
        if (typeof request === 'object' && request !== null) sizes.set(request, bytes.length);
        return request;
      } catch (error) {
        const one = { bytes: bytes.length };
        undecoded.add(one);
        // The library ends the call in the next tick.
        process.nextTick(() => process.nextTick(() => undecoded.delete(one)));
        throw error;
      }
    },
  };
}

function sizeOf(request: unknown): number {
  return typeof request === 'object' && request !== null ? (sizes.get(request) ?? 0) : 0;
}

/** The size of the request of a call that has ended before it had one. */
function undecodedSize(): number {
  for (const one of undecoded) {
    undecoded.delete(one);
    return one.bytes;
  }
  return 0;
}

/** A request that is to be read, or is being read. */
interface Turn {
  readonly principal: string;
  readonly begin: () => void;
}

interface User {
  /** What may still be sent at once, bytes, at the time `at`; below 0: sent too much. */
  left: number;
  at: number;
  readonly reading: Set<Turn>;
  readonly waiting: Set<Turn>;
  timer: Timer | null;
}

/**
 * When the requests of users are read: in order, and those of a user who has sent too much later, so that meanwhile
 * their bytes stay with him. Users of small requests wait for nothing.
 */
export class RequestPace {
  readonly #clock: Pick<Clock, 'now' | 'after'>;
  readonly #limited: (limit: PoolLimit) => void;
  readonly #users = new Map<string, User>();

  constructor(deps: { readonly clock: Pick<Clock, 'now' | 'after'>; readonly limited?: (limit: PoolLimit) => void }) {
    this.#clock = deps.clock;
    this.#limited = deps.limited ?? (() => {});
  }

  /** Users who have open requests, or have sent large ones. */
  get size(): number {
    return this.#users.size;
  }

  /** Calls `begin` when the principal's next request may be read, which may be at once. */
  read(turn: Turn): void {
    const { principal } = turn;
    let user = this.#users.get(principal);
    if (user === undefined) {
      const at = this.#clock.now();
      user = { left: MAX_REQUEST_BYTES_AT_ONCE, at, reading: new Set(), waiting: new Set(), timer: null };
      this.#users.set(principal, user);
    }
    user.waiting.add(turn);
    if (user.waiting.size === 1) this.#next(principal, user);
    if (user.left >= 0 || !user.waiting.has(turn)) return;
    const held = Math.round(MAX_REQUEST_BYTES_AT_ONCE - user.left);
    const limit = MAX_REQUEST_BYTES_AT_ONCE;
    this.#limited({ resource: 'bytes of large requests', bound: 'share', principal, held, limit });
  }

  /** The request has been read, or its call has ended; harmless the second time. `size`: that of what was read. */
  end(turn: Turn, size: () => number): void {
    const user = this.#users.get(turn.principal);
    if (user === undefined) return;
    if (user.reading.delete(turn)) {
      this.#refill(user);
      user.left -= size();
    } else if (!user.waiting.delete(turn)) return;
    this.#next(turn.principal, user);
  }

  /** Begins what may be read now, and sets the timer for what is left to do. `overdue`: the first one, anyway. */
  #next(principal: string, user: User, overdue = false): void {
    this.#refill(user);
    let anyway = overdue;
    for (const turn of user.waiting) {
      if (user.left - (anyway ? 0 : user.reading.size * UNREAD_BYTES) < 0) break;
      anyway = false;
      user.waiting.delete(turn);
      user.reading.add(turn);
      turn.begin();
    }
    // Only now: a call that ends at once has come here, too.
    user.timer?.cancel();
    user.timer = null;
    const { left } = user;
    const isDebt = left < 0;
    if (user.waiting.size > 0) {
      const ms = isDebt ? Math.ceil(-left / BYTES_PER_MS) : PATIENCE_MS;
      user.timer = this.#clock.after(ms, () => this.#next(principal, user, !isDebt));
    } else if (user.reading.size === 0) {
      const ms = Math.ceil((MAX_REQUEST_BYTES_AT_ONCE - left) / BYTES_PER_MS);
      if (ms === 0) this.#users.delete(principal);
      else user.timer = this.#clock.after(ms, () => this.#next(principal, user));
    }
  }

  #refill(user: User): void {
    const now = this.#clock.now();
    user.left = Math.min(MAX_REQUEST_BYTES_AT_ONCE, user.left + (now - user.at) * BYTES_PER_MS);
    user.at = now;
  }
}

/**
 * Paces the requests of unary and server-streaming methods. Streams of requests have back-pressure of their own. Health
 * checks and reflection take only short requests (public-requests.ts) and are not held up. To be put behind the gate,
 * which says who the user is.
 */
export function paceRequests(pace: RequestPace): ServerInterceptor {
  // Nothing is put between the messages of other calls: the library uses only the interface.
  return ({ path, requestStream }, call) =>
    requestStream || path.startsWith('/grpc.') ? (call as ServerInterceptingCall) : new PacedCall(call, pace);
}

class PacedCall extends ServerInterceptingCall {
  readonly #reading: { read(begin: () => void): void };

  constructor(call: ServerInterceptingCallInterface, pace: RequestPace) {
    let principal = '';
    let turn: Turn | null = null;
    let isOver = false;
    const end = (size: () => number): void => {
      if (turn !== null) pace.end(turn, size);
    };
    super(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, take) => {
            principal = apiPrincipal({ metadata, getPeer: () => call.getPeer() });
            take(metadata);
          },
          onReceiveMessage: (message: unknown, take) => {
            end(() => sizeOf(message));
            take(message);
          },
          // Called however the call ends.
          onCancel: () => {
            isOver = true;
            end(undecodedSize);
          },
        }),
    });
    this.#reading = {
      read: (begin) => {
        if (turn !== null || isOver) return begin();
        turn = { principal, begin };
        pace.read(turn);
      },
    };
  }

  override startRead(): void {
    this.#reading.read(() => super.startRead());
  }
}
