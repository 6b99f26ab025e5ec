import { formatHostPort, parseHostPort } from '@spanmesh/runtime/address';
import { whoListens } from './who-listens.ts';

/** Default ports of the API, by the default HTTP ports of the same processes (docs/cli.md, "run"). */
const API_PORTS: Readonly<Record<number, number>> = { 8987: 7987, 8988: 7988, 8985: 7985 };
const USUAL_API_PORT = 7987;

/** One line about the server at an address that does not speak gRPC, and where the API is. */
export async function aboutStranger(address: string): Promise<string> {
  const { host, port } = parseHostPort(address);
  const api = formatHostPort({ host, port: API_PORTS[port] ?? USUAL_API_PORT });
  const elsewhere = `the API is on another one, ${api} unless set otherwise`;
  switch (await whoListens(address)) {
    case 'health':
      return `${address} is the HTTP port, for health and metrics: ${elsewhere}`;
    case 'console':
      return `${address} is the port of the console, for browsers: ${elsewhere}`;
    case 'web':
      return `${address} is a web server: ${elsewhere}`;
    case 'other':
      return `${address} does not speak gRPC; if it is the port for DMSG peers, ${elsewhere}`;
  }
}
