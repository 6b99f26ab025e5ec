import {
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import { addressPrincipal } from '../shares/address-principal.ts';
import type { PoolBound, PoolLimit } from '../shares/pool.ts';

/** Most open calls of the health service on one connection: a client watches a service or two. */
const MAX_PUBLIC_CALLS_PER_CONNECTION = 16;
/** Most open calls of the health service from one address: each costs some 15 KiB. */
const MAX_PUBLIC_CALLS_PER_ADDRESS = 256;
/**
 * Most open calls of the health service in all, on one port. Beyond it the oldest of the address with most is ended.
 */
const MAX_PUBLIC_CALLS = 2048;

/** A call from the arrival of its headers until it ends, whether or not it sends a message. */
interface OpenCall {
  readonly address: string;
  /** `address:port` of the client. */
  readonly connection: string;
  end(details: string): void;
}

/**
 * Open calls of methods that everybody may call, without a certificate or a token. Limits keep one client from taking
 * all of them.
 */
export class OpenCalls {
  /** The calls, oldest first. */
  readonly #open = new Set<OpenCall>();
  readonly #perAddress = new Map<string, number>();
  readonly #perConnection = new Map<string, number>();
  /** Calls that were refused or ended because of these limits. */
  refused = 0;
  readonly #limited: (limit: PoolLimit) => void;

  /** `limited`: told each time that an address has too many. */
  constructor({ limited = () => {} }: { readonly limited?: (limit: PoolLimit) => void } = {}) {
    this.#limited = limited;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Adds a call; null: it may go on; otherwise why not. */
  add(call: OpenCall): string | null {
    const { address, connection } = call;
    if ((this.#perConnection.get(connection) ?? 0) >= MAX_PUBLIC_CALLS_PER_CONNECTION) {
      this.#refused(address, 'share', MAX_PUBLIC_CALLS_PER_CONNECTION);
      return `A connection may have ${MAX_PUBLIC_CALLS_PER_CONNECTION} such calls open.`;
    }
    if ((this.#perAddress.get(address) ?? 0) >= MAX_PUBLIC_CALLS_PER_ADDRESS) {
      this.#refused(address, 'share', MAX_PUBLIC_CALLS_PER_ADDRESS);
      return `An address may have ${MAX_PUBLIC_CALLS_PER_ADDRESS} such calls open.`;
    }
    if (this.#open.size >= MAX_PUBLIC_CALLS) this.#endOne();
    this.#open.add(call);
    count(this.#perAddress, address, 1);
    count(this.#perConnection, connection, 1);
    return null;
  }

  /** Removes a call that has ended; harmless if it is not here. */
  remove(call: OpenCall): void {
    if (!this.#open.delete(call)) return;
    count(this.#perAddress, call.address, -1);
    count(this.#perConnection, call.connection, -1);
  }

  #refused(address: string, bound: PoolBound, limit: number): void {
    this.refused++;
    const held = this.#perAddress.get(address) ?? 0;
    this.#limited({
      resource: 'calls of the health service',
      bound,
      principal: addressPrincipal(address),
      held,
      limit,
    });
  }

  #endOne(): void {
    let most = '';
    for (const [address, calls] of this.#perAddress) if (calls > (this.#perAddress.get(most) ?? 0)) most = address;
    for (const call of this.#open) {
      if (call.address !== most) continue;
      this.#refused(most, 'total', MAX_PUBLIC_CALLS);
      this.remove(call);
      call.end(`There are ${MAX_PUBLIC_CALLS} such calls open, and your address has most of them.`);
      return;
    }
  }
}

/**
 * Counts calls of methods whose path begins with `prefix`, and refuses those beyond the limit with RESOURCE_EXHAUSTED.
 */
export function limitCalls(prefix: string, calls: OpenCalls): ServerInterceptor {
  return ({ path }, call) => {
    // Nothing is put between other calls and their messages. The library's type asks for its own class, but it uses
    // only the interface.
    if (!path.startsWith(prefix)) return call as ServerInterceptingCall;
    const connection = call.getPeer();
    const open: OpenCall = {
      address: connection.replace(/:\d+$/, ''),
      connection,
      end: (details) => refuse(call, details),
    };
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, take) => {
            const why = calls.add(open);
            if (why === null) take(metadata);
            else refuse(call, why);
          },
          // Called however the call ends, once its stream is closed.
          onCancel: () => calls.remove(open),
        }),
    });
  };
}

function refuse(call: ServerInterceptingCallInterface, details: string): void {
  call.sendStatus({ code: status.RESOURCE_EXHAUSTED, details });
}

function count(counts: Map<string, number>, key: string, by: 1 | -1): void {
  const now = (counts.get(key) ?? 0) + by;
  if (now === 0) counts.delete(key);
  else counts.set(key, now);
}
