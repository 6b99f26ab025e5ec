import { connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { type HostPort, isLoopbackHost } from '@spanmesh/runtime/address';
import { gatewayCertificateName, mayBeGateway } from '@spanmesh/runtime/tls/gateway-certificate';
import { LINK_GATEWAY_NAME } from '@spanmesh/runtime/tls/service-names';
import type { TlsFiles } from '@spanmesh/runtime/tls/tls-files';
import { createTlsServer, tlsConnectOptions } from '@spanmesh/runtime/tls/tls-stream';
import type { GatewayId } from '@spanmesh/spantree/ids';
import { isLoopback, peerAddress } from '../address/peer-address.ts';
import { LinkGatewayError } from '../gateway-error.ts';

// The only file that knows the transport of trunks: TLS with the certificates of both gateways, or, without
// certificates, plain TCP on the loopback.

/**
 * Connects to another gateway's trunk port; the host name is looked up afresh. `gateway`: the name that its certificate
 * must be for; `tls` null: plain TCP.
 * @throws LinkGatewayError trunk unreachable (a wrong certificate, too), not-loopback; timeout when `signal` aborts.
 */
export function connectTrunk(
  { host, port, gateway }: HostPort & { readonly gateway: GatewayId },
  tls: TlsFiles | null,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(new LinkGatewayError('trunk', { why: 'timeout' }));
      return;
    }
    const socket =
      tls === null
        ? connect({ host, port, noDelay: true, allowHalfOpen: true })
        : connectTls({ ...tlsConnectOptions(tls, gatewayCertificateName(gateway)), host, port });
    const fail = (error: LinkGatewayError<'trunk'>) => {
      signal.removeEventListener('abort', expire);
      socket.destroy();
      reject(error);
    };
    const expire = () => fail(new LinkGatewayError('trunk', { why: 'timeout' }));
    signal.addEventListener('abort', expire);
    socket.on('error', (cause) =>
      fail(new LinkGatewayError('trunk', { why: 'unreachable' }, { message: cause.message, cause })),
    );
    socket.once(tls === null ? 'connect' : 'secureConnect', () => {
      if (tls === null && !isFromHere(socket)) {
        fail(new LinkGatewayError('trunk', { why: 'not-loopback' }));
        return;
      }
      socket.setNoDelay(true);
      socket.allowHalfOpen = true;
      signal.removeEventListener('abort', expire);
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}

/**
 * True if the certificate of an accepted connection is valid for the gateway of this name. Without TLS, on the
 * loopback, always true.
 */
export function isTrunkOf(socket: Socket, gateway: GatewayId): boolean {
  if (!(socket instanceof TLSSocket)) return true;
  const certificate = socket.getPeerX509Certificate();
  return certificate !== undefined && mayBeGateway(certificate, gateway);
}

/** A server for trunks. `accept` gets the connections that may be used; `refused` is called for each other one. */
export function listenTrunk(
  tls: TlsFiles | null,
  { accept, refused }: { accept: (socket: Socket) => void; refused: () => void },
): Server {
  if (tls !== null) return createTlsServer(tls, { name: LINK_GATEWAY_NAME, accept, refused });
  return createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    if (isFromHere(socket)) {
      accept(socket);
      return;
    }
    socket.on('error', () => {});
    socket.destroy();
    refused();
  });
}

/** True for addresses on which trunks may be accepted without certificates. */
export function mayListenPlain(host: string): boolean {
  return isLoopbackHost(host);
}

function isFromHere(socket: Socket): boolean {
  return isLoopback(peerAddress(socket.remoteAddress ?? ''));
}
