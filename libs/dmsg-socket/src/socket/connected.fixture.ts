import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Both ends of a connection over the loopback. */
export async function connected(): Promise<{ near: Socket; far: Socket; close: () => void }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not a TCP server');
  const far = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true });
  const [near]: Socket[] = await once(server, 'connection');
  if (near === undefined) throw new Error('no connection');
  if (far.connecting) await once(far, 'connect');
  const close = () => {
    near.destroy();
    far.destroy();
    server.close();
  };
  return { near, far, close };
}
