import type { Socket } from 'node:net';
import { type ConnectionOptions, createServer, type Server, type TLSSocket } from 'node:tls';
import { carriesName } from './certificate-name.ts';
import { checkServiceIdentity } from './service-identity.ts';
import type { ServiceName } from './service-names.ts';
import type { TlsFiles } from './tls-files.ts';
import { secureContextOptions } from './tls-material.ts';

/** How long a TLS handshake may take, ms; a caller that needs longer holds a socket for nothing. */
const HANDSHAKE_MS = 10_000;

/**
 * For tls.connect: our certificate, and a peer that must be the service named, or the gateway (gatewayCertificateName). Ask anew for each
 * connection.
 */
export function tlsConnectOptions(files: TlsFiles, name: string): ConnectionOptions {
  return {
    ...secureContextOptions(files.value),
    // The name that checkServerIdentity is called with.
    servername: name,
    checkServerIdentity: checkServiceIdentity,
    rejectUnauthorized: true,
  };
}

/**
 * A TLS server for streams that are not gRPC, to be listened with. `accept` gets only clients that have shown the certificate of the
 * service named; `refused` hears of the others. New connections see changed files.
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
        // Not before: a caller that goes away during the handshake would be waited for.
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
