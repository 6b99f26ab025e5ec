import { connect, createServer, type Server, type Socket } from 'node:net';
import type { HostPort } from '@spanmesh/runtime/address';
import { isLoopback, peerAddress } from '../admission.ts';
import { TrunkError } from './trunk-error.ts';

// The one place that knows what a trunk's bytes travel on. Plain TCP, and so on the loopback only, until gateways have
// certificates: then these two take TLS options, make TLS sockets, and the loopback is not asked for any more.

/**
 * Connects to another gateway's trunk port; the name is looked up afresh.
 * @throws TrunkError unreachable, not-loopback; timeout when `signal` says so.
 */
export function connectTrunk({ host, port }: HostPort, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(new TrunkError('timeout'));
      return;
    }
    const socket = connect({ host, port, noDelay: true, allowHalfOpen: true });
    const fail = (error: TrunkError) => {
      signal.removeEventListener('abort', expire);
      socket.destroy();
      reject(error);
    };
    const expire = () => fail(new TrunkError('timeout'));
    signal.addEventListener('abort', expire, { once: true });
    socket.on('error', (cause) => fail(new TrunkError('unreachable', cause.message, { cause })));
    socket.once('connect', () => {
      if (!mayBePlain(socket)) {
        fail(new TrunkError('not-loopback'));
        return;
      }
      signal.removeEventListener('abort', expire);
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}

/** A server for trunks; `accept` gets only connections that may be used. */
export function listenTrunk(accept: (socket: Socket) => void): Server {
  return createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    if (mayBePlain(socket)) {
      accept(socket);
      return;
    }
    socket.on('error', () => {});
    socket.destroy();
  });
}

/** True for addresses that a trunk may listen on without keys. */
export function mayListenPlain(host: string): boolean {
  return host === 'localhost' || isLoopback(peerAddress(host));
}

function mayBePlain(socket: Socket): boolean {
  return isLoopback(peerAddress(socket.remoteAddress ?? ''));
}
