import { SimServer, SimSocket } from '../socket.ts';
import { theKernel } from './globals.ts';

export * from 'node:net';

interface ConnectOptions {
  readonly host?: string;
  readonly port: number;
  readonly allowHalfOpen?: boolean;
}

interface ServerOptions {
  readonly allowHalfOpen?: boolean;
  readonly blockList?: { check(address: string, family?: string): boolean };
}

/** node:net's, on the simulated network. */
export function connect({ host = '127.0.0.1', port, allowHalfOpen = false }: ConnectOptions): SimSocket {
  return SimSocket.connect(theKernel().network, { host, port, allowHalfOpen });
}

export function createServer(options: ServerOptions, accept: (socket: SimSocket) => void): SimServer {
  return new SimServer(theKernel().network, options, accept);
}
