import type { Socket } from 'node:net';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import { peerAddress } from '../address/peer-address.ts';
import { isFailed } from '../gateway-error.ts';
import { dropSocket, type EntryDependencies, refuse, upgrade } from './upgrade.ts';

/**
 * Takes a socket that a listener has accepted. If it comes from a trusted balancer, the PROXY header has the peer's
 * address.
 */
export function accept(deps: EntryDependencies, socket: Socket, dialect: Dialect | null): void {
  const arrival = { socket, dialect, origin: { kind: 'accepted' } } as const;
  const count = (result: unknown) => {
    if (typeof result !== 'string') deps.metrics.connectionsAccepted++;
  };
  const { proxied } = deps.entrance;
  if (socket.remoteAddress === undefined) {
    // Reset before this call: the address of the peer is not known any more.
    dropSocket(socket);
    deps.metrics.refused.gone++;
    return;
  }
  const address = peerAddress(socket.remoteAddress);
  if (!proxied.trusts(address)) {
    upgrade(deps, arrival, count);
    return;
  }
  const balancer = { host: address, port: socket.remotePort ?? 0 };
  proxied.read(socket, (result) => {
    // A balancer that only tries the port (a health check): counted, but not worth a line.
    if (isFailed(result, 'proxy') && result.data.why === 'empty') deps.metrics.refused['proxy-header']++;
    else if (result === 'full') refuse(deps, balancer, { kind: 'refused', refusal: 'too-many-handshakes' });
    else if (isFailed(result, 'proxy'))
      refuse(deps, balancer, { kind: 'refused', refusal: 'proxy-header', why: result.data.why });
    else upgrade(deps, { ...arrival, remote: result.source ?? balancer }, count);
  });
}
