import { once } from 'node:events';
import { type AddressInfo, connect as connectPlain } from 'node:net';
import { connect, type Server, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../clock.ts';
import { CertificateAuthority } from './certificate-authority.ts';
import { Certificates, recordingLogger, VALID } from './certificates.fixture.ts';
import { LINK_GATEWAY_NAME, TOPOLOGY_NAME } from './service-names.ts';
import { type TlsFiles, watchTlsFiles } from './tls-files.ts';
import { createTlsServer, tlsConnectOptions } from './tls-stream.ts';

let certificates: Certificates;
let servers: Server[];
let accepted: TLSSocket[];
/** How often each server has refused a client, by port: a server may hear of clients of an earlier test. */
let refused: Map<number, number>;
beforeEach(() => {
  certificates = new Certificates();
  servers = [];
  accepted = [];
  refused = new Map();
});
afterEach(async () => {
  for (const socket of accepted) socket.destroy();
  for (const server of servers) {
    server.close();
    await once(server, 'close');
  }
  certificates.remove();
});

async function listen(files: TlsFiles): Promise<number> {
  let port = 0;
  const server = createTlsServer(files, {
    name: LINK_GATEWAY_NAME,
    // Echoes one message.
    accept: (socket) => {
      accepted.push(socket);
      socket.on('error', () => {});
      socket.once('data', (data) => socket.write(data));
    },
    refused: () => refused.set(port, (refused.get(port) ?? 0) + 1),
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  return port;
}

/** The answer to a message, or the error. */
function echo(port: number, files: TlsFiles): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ ...tlsConnectOptions(files, LINK_GATEWAY_NAME), host: '127.0.0.1', port });
    socket.on('secureConnect', () => socket.write('hello'));
    socket.on('data', (data) => {
      resolve(`${socket.getProtocol()} ${data}`);
      socket.destroy();
    });
    socket.on('error', ({ message }) => resolve(`error: ${message}`));
    socket.on('close', () => resolve('error: closed'));
  });
}

const gateway = () => certificates.watched([LINK_GATEWAY_NAME]);

describe('TLS between two gateways', () => {
  it('lets in a gateway, by TLS 1.3', async () => {
    expect(await echo(await listen(gateway()), gateway())).toBe('TLSv1.3 hello');
  });

  it('refuses other services, and other CAs', async () => {
    const port = await listen(gateway());
    expect(await echo(port, certificates.watched([TOPOLOGY_NAME]))).toMatch(/^error/);
    const authority = CertificateAuthority.create({ subject: 'other', ...VALID });
    expect(await echo(port, certificates.watched([LINK_GATEWAY_NAME], { authority }))).toMatch(/^error/);
    expect([accepted.length, refused.get(port)]).toEqual([0, 2]);
  });

  it('does not connect to a server that is no gateway', async () => {
    const port = await listen(certificates.watched([TOPOLOGY_NAME]));
    expect(await echo(port, gateway())).toBe(
      'error: the certificate of the other side is that of topology.spanmesh, not of link-gateway.spanmesh',
    );
  });

  it('closes a connection that does not speak TLS', async () => {
    const port = await listen(gateway());
    const socket = connectPlain(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    socket.write('spanmesh trunk 1');
    await once(socket, 'close');
    expect([accepted.length, refused.get(port)]).toEqual([0, 1]);
  });

  it('uses changed certificates for new connections', async () => {
    const second = CertificateAuthority.create({ subject: 'second', ...VALID });
    const mount = (authority: CertificateAuthority) => {
      const { cert, key } = authority.issue({
        subject: 'x',
        names: [LINK_GATEWAY_NAME],
        roles: ['server', 'client'],
        ...VALID,
      });
      const { cert: certFile, key: keyFile, ca } = certificates.mount({ cert, key, ca: authority.pem.cert });
      return { cert: certFile!, key: keyFile!, ca: ca! };
    };
    const { logger } = recordingLogger();
    const files = watchTlsFiles(mount(certificates.authority), { clock: systemClock, logger });
    const port = await listen(files);
    const old = gateway();
    expect(await echo(port, old)).toBe('TLSv1.3 hello');
    mount(second);
    await files.look();
    expect(await echo(port, old)).toMatch(/^error/);
    expect(await echo(port, files)).toBe('TLSv1.3 hello');
  });
});
