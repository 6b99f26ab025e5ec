import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';

// The one place that uses what Node keeps to itself (docs/decisions/008-sockets.md). Where it is not as expected, both functions say so,
// and everything goes through the public interface.

interface Handle {
  readonly fd?: number;
  reading?: boolean;
  readStop?(): number;
}

interface Inside {
  _handle?: Handle | null;
  readonly _readableState?: { readonly ended?: boolean };
}

/** File descriptor of a plain TCP socket that is open; -1: it has none that may be written to. */
export function descriptorOf(socket: Socket): number {
  // A subclass (TLS) does something to the bytes first.
  if (Object.getPrototypeOf(socket) !== Socket.prototype) return -1;
  return (socket as unknown as Inside)._handle?.fd ?? -1;
}

/** A socket in place of another one. */
export interface Reopened {
  readonly socket: Socket;
  /** What the other one has read that nobody has asked for yet; null: nothing. */
  readonly held: Uint8Array | null;
}

/**
 * Puts another socket in the place of a connected one that nobody reads, as if it had been made with `onread`; it is paused, and the one
 * that was is of no use any more. null: that one must stay.
 */
export function reopen(connected: Socket, onread: OnReadOpts): Reopened | null {
  if (descriptorOf(connected) < 0 || connected.writableLength > 0) return null;
  const inside = connected as unknown as Inside;
  const handle = inside._handle;
  // Its end has been read already, and would be lost.
  if (handle?.readStop === undefined || inside._readableState?.ended !== false) return null;
  handle.readStop();
  handle.reading = false;
  inside._handle = null;
  const held: Uint8Array | null = connected.read();
  // A listener counts its sockets.
  connected.destroy();
  // A peer's FIN must not end our side before what is queued is sent.
  const options = { handle, allowHalfOpen: true, pauseOnCreate: true, onread };
  return { socket: new Socket(options as unknown as SocketConstructorOpts), held };
}
