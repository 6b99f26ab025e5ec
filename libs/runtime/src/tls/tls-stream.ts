import type { Socket } from 'node:net';
import { type ConnectionOptions, createServer, type Server, type TLSSocket } from 'node:tls';
import { carriesName } from './certificate-name.ts';
import { checkServiceIdentity } from './service-identity.ts';
import type { ServiceName } from './service-names.ts';
import type { TlsFiles } from './tls-files.ts';
import { secureContextOptions } from './tls-material.ts';

/** Longest TLS handshake, ms; a caller that takes longer occupies a socket in vain. */
const HANDSHAKE_MS = 10_000;

/**
 * Options for tls.connect: our certificate, and the name of the service or gateway (gatewayCertificateName) that the
 * peer's certificate must carry. Ask for new ones at each connection, since files change.
 */
export function tlsConnectOptions(files: TlsFiles, name: string): ConnectionOptions {
  return {
    ...secureContextOptions(files.value),
    // checkServerIdentity is called with this name.
    servername: name,
    checkServerIdentity: checkServiceIdentity,
    rejectUnauthorized: true,
  };
}

/**
 * A TLS server for streams that are not gRPC; the caller makes it listen. `accept` gets only clients with the
 * certificate of the named service; `refused` is called for the others. New connections use changed files.
 */
export function createTlsServer(
  files: TlsFiles,
  {
    name,
    accept,
    refused,
  }: { name: ServiceName; accept: (socket: TLSSocket) => void; refused: (socket: Socket) => void },
): Server {
  const server = createServer(
    {
      ...secureContextOptions(files.value),
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_MS,
      noDelay: true,
    },
    (socket) => {
      const certificate = socket.getPeerX509Certificate();
      if (certificate !== undefined && carriesName(certificate, name)) {
        // Only now: a caller that leaves during the handshake would be waited for.
        socket.allowHalfOpen = true;
        accept(socket);
        return;
      }
      socket.on('error', () => {});
      socket.destroy();
      refused(socket);
    },
  );
  server.on('tlsClientError', (_error, socket) => {
    socket.destroy();
    refused(socket);
  });
  const subscription = files.onChange((material) => server.setSecureContext(secureContextOptions(material)));
  server.on('close', () => subscription.unsubscribe());
  return server;
}
