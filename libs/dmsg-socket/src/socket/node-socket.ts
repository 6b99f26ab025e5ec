import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';

// The only code that uses Node's internals (docs/decisions/008-sockets.md). Where they are not as expected, both
// functions report that, and the callers use the public interface.

/** Node's handle of a TCP socket, as far as it is used here. */
interface Handle {
  readonly fd?: number;
  reading?: boolean;
  readStop?(): number;
}

/** A Socket's internals, as far as they are used here. */
interface Inside {
  _handle?: Handle | null;
  readonly _readableState?: { readonly ended?: boolean };
}

/** File descriptor of an open plain TCP socket; -1: it has none that may be written to directly. */
export function descriptorOf(socket: Socket): number {
  // A subclass (TLS) changes the bytes before it writes them.
  if (Object.getPrototypeOf(socket) !== Socket.prototype) return -1;
  return (socket as unknown as Inside)._handle?.fd ?? -1;
}

/** The result of `reopen`. */
export interface Reopened {
  readonly socket: Socket;
  /** Bytes that the replaced socket had read and nobody had taken yet; null: none. */
  readonly held: Uint8Array | null;
}

/**
 * Replaces a connected socket that nobody reads by one that reads into memory of ours, as if it had been made with
 * `onread`. The new socket is paused; the old one must not be used any more. null: it cannot be replaced.
 */
export function reopen(connected: Socket, onread: OnReadOpts): Reopened | null {
  if (descriptorOf(connected) < 0 || connected.writableLength > 0) return null;
  const inside = connected as unknown as Inside;
  const handle = inside._handle;
  // The peer's FIN has been read already: the new socket would never see it.
  if (handle?.readStop === undefined || inside._readableState?.ended !== false) return null;
  handle.readStop();
  handle.reading = false;
  inside._handle = null;
  const held: Uint8Array | null = connected.read();
  // Destroyed, because a listener counts its open sockets.
  connected.destroy();
  // allowHalfOpen: a peer's FIN must not end our side before everything queued is sent.
  const options = { handle, allowHalfOpen: true, pauseOnCreate: true, onread };
  return { socket: new Socket(options as unknown as SocketConstructorOpts), held };
}
