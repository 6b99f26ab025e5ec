import type { Socket } from 'node:net';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import { peerAddress, type Refusal } from './admission.ts';
import { Connection } from './connection.ts';
import type { Core } from './core.ts';
import { TCP_KEEPALIVE_MS } from './limits.ts';
import type { Origin } from './origin.ts';

/** What an operator can do about a refused connection. */
const ADVICE: Readonly<Record<Refusal, string>> = {
  'not-loopback': 'only peers on this host may connect without keys, and keys are not supported yet',
  'too-many': 'raise the limit of connections if this many are expected',
  'too-many-from-address': 'raise the limit of connections per address if this many are expected',
  stopping: 'the gateway is stopping',
};

/**
 * Makes a connected socket, accepted or dialled, a connection; or closes it, says why in the log and returns the refusal.
 * `dialect` null: the peer's first messages tell.
 */
export function adopt(core: Core, socket: Socket, dialect: Dialect | null, origin: Origin): Connection | Refusal {
  const address = peerAddress(socket.remoteAddress ?? '');
  const refusal = core.admission.admit(address);
  if (refusal !== null) {
    core.metrics.refused[refusal]++;
    const { log, suppressed } = core.throttle.admit(`refused ${refusal}`);
    if (log) core.logger.warn({ peer: address, refusal, advice: ADVICE[refusal], suppressed }, 'connection refused');
    // Its errors are nobody's business any more, and must not be unhandled.
    socket.on('error', () => {});
    socket.destroy();
    return refusal;
  }
  socket.setNoDelay(true);
  socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
  const connection = new Connection(socket, dialect, origin, core);
  core.tables.sockets.add(connection);
  return connection;
}
