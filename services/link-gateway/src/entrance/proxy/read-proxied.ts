import type { Socket } from 'node:net';
import type { Clock } from '@spanmesh/runtime/clock';
import { LinkGatewayError } from '../../gateway-error.ts';
import { type ProxyHeader, readProxyHeader } from './proxy-header.ts';

/** Called once, when the socket has none of our listeners any more; it is paused, unless it has ended. */
type Done = (result: ProxyHeader | LinkGatewayError<'proxy'>) => void;

/**
 * Takes the PROXY header off the front of an accepted connection; bytes behind it are left to the next reader. On an
 * error, too, the caller keeps the socket. Returns a function that ends the wait: the result is then `closed` or
 * `empty`.
 */
export function readProxied(socket: Socket, timeoutMs: number, clock: Clock, done: Done): () => void {
  let taken: Buffer = Buffer.alloc(0);
  let over = false;
  const finish = (result: ProxyHeader | LinkGatewayError<'proxy'>) => {
    if (over) return;
    over = true;
    deadline.cancel();
    socket.off('data', onData).off('end', onEnd).off('error', onEnd).off('close', onEnd);
    done(result);
  };
  const onEnd = () => finish(new LinkGatewayError('proxy', { why: taken.length === 0 ? 'empty' : 'closed' }));
  const onData = (chunk: Buffer) => {
    taken = taken.length === 0 ? chunk : Buffer.concat([taken, chunk]);
    let header: ProxyHeader | null;
    try {
      header = readProxyHeader(taken);
    } catch (error) {
      socket.pause();
      finish(error as LinkGatewayError<'proxy'>);
      return;
    }
    if (header === null) return;
    socket.pause();
    if (taken.length > header.bytes) socket.unshift(taken.subarray(header.bytes));
    finish(header);
  };
  const deadline = clock.after(timeoutMs, () => {
    socket.pause();
    finish(new LinkGatewayError('proxy', { why: 'timeout' }));
  });
  socket.on('end', onEnd).on('error', onEnd).on('close', onEnd).on('data', onData);
  return onEnd;
}
