// The container behind the published ports of docker-compose.yml: it passes TCP connections on to the replicas of a
// service that are ready.
//    node entrance.ts LISTEN:SERVICE:PORT[:proxy] … Replicas are found by the service's name in Compose's DNS and asked
// for /readyz, so one that drains, hangs or is cut off gets no new connections, and a new one gets the next. `proxy`:
// each connection begins with a PROXY protocol v2 header, since peers are recognised by their address.

import { lookup } from 'node:dns/promises';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';

/** Port of every service's HTTP, and of our own. */
const HTTP_PORT = 8080;
/** Time between two checks of the replicas, ms. */
const LOOK_MS = 500;
/** A replica that has not answered in this time is not ready, ms. */
const ANSWER_MS = 2000;
/** A replica that has not accepted a connection in this time is skipped, ms. */
const CONNECT_MS = 1000;
/**
 * TCP probes a side that has been silent for this long, then once a second; after ten probes without an answer the
 * connection ends (libuv), ms.
 */
const KEEP_ALIVE_MS = 2000;
/** PROXY protocol version 2: the signature, PROXY, TCP over IPv4, 12 bytes follow. */
const PROXY_V2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c', 'latin1');

/** The ready replicas of a service, and the number of connections that each has here, by address. */
class Replicas {
  readonly service: string;
  readonly #open = new Map<string, number>();
  #ready: string[] = [];

  constructor(service: string) {
    this.service = service;
  }

  get isReady(): boolean {
    return this.#ready.length > 0;
  }

  /** Checks the replicas again and again. */
  async watch(): Promise<never> {
    for (;;) {
      const known = await lookup(this.service, { all: true, family: 4 }).catch(() => []);
      const asked = known.map(async ({ address }) => ((await isReady(address)) ? address : null));
      const ready = (await Promise.all(asked)).filter((address) => address !== null).sort();
      if (ready.join() !== this.#ready.join()) console.log(`${this.service}: ready are ${ready.join(', ') || 'none'}`);
      this.#ready = ready;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** Connects to the replica with the fewest connections; null: none accepts. */
  async connect(port: number): Promise<Socket | null> {
    const byLoad = this.#ready.toSorted((a, b) => (this.#open.get(a) ?? 0) - (this.#open.get(b) ?? 0));
    for (const address of byLoad) {
      this.#count(address, 1);
      const socket = await connected(address, port);
      if (socket === null) this.#count(address, -1);
      else return socket.once('close', () => this.#count(address, -1));
    }
    return null;
  }

  #count(address: string, change: number): void {
    const count = (this.#open.get(address) ?? 0) + change;
    if (count === 0) this.#open.delete(address);
    else this.#open.set(address, count);
  }
}

async function isReady(address: string): Promise<boolean> {
  try {
    return (await fetch(`http://${address}:${HTTP_PORT}/readyz`, { signal: AbortSignal.timeout(ANSWER_MS) })).ok;
  } catch {
    return false;
  }
}

function connected(host: string, port: number): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect({
      host,
      port,
      noDelay: true,
      allowHalfOpen: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    });
    const late = setTimeout(() => socket.destroy(), CONNECT_MS);
    socket.on('error', () => {});
    socket.once('close', () => resolve(null));
    socket.once('connect', () => {
      clearTimeout(late);
      resolve(socket);
    });
  });
}

function proxyHeader({ remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 }: Socket): Buffer {
  const addresses = Buffer.from([remoteAddress, localAddress].flatMap((address) => address.split('.').map(Number)));
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(remotePort, 0);
  ports.writeUInt16BE(localPort, 2);
  return Buffer.concat([PROXY_V2, addresses, ports]);
}

/** Passes on what one side sends to the other, also its end and its reset. */
function join(a: Socket, b: Socket): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.pipe(to);
    from.once('close', (hadError) => {
      // Both sides have ended in order: the rest is still written.
      if (hadError || !from.readableEnded) to.resetAndDestroy();
    });
  }
}

function serve(listen: number, replicas: Replicas, port: number, isProxy: boolean): void {
  const options = {
    noDelay: true,
    allowHalfOpen: true,
    pauseOnConnect: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  };
  createServer(options, async (near) => {
    near.on('error', () => {});
    const far = await replicas.connect(port);
    if (far === null || near.destroyed) {
      near.resetAndDestroy();
      far?.destroy();
      return;
    }
    if (isProxy) far.write(proxyHeader(near));
    join(near, far);
  }).listen(listen, '0.0.0.0');
}

const watched = new Map<string, Replicas>();
warnOfOthers();
for (const written of process.argv.slice(2)) {
  const [listen, service, port, how] = written.split(':') as [string, string, string, string?];
  const replicas = watched.get(service) ?? new Replicas(service);
  watched.set(service, replicas);
  serve(Number(listen), replicas, Number(port), how === 'proxy');
}
for (const replicas of watched.values()) void replicas.watch();

/** Warns in `docker compose up`, and in the log, when other hosts can reach a published port. */
function warnOfOthers(): void {
  const { PUBLISHED_FOR_PEERS = '', PUBLISHED_API = '', PEERS = '' } = process.env;
  const isOpen = (published: string) => !/^(127\.[0-9.]+|\[::1\]|localhost):[0-9]+$/.test(published);
  const warnings: string[] = [];
  const api = PUBLISHED_API.split(' ').filter((published) => published !== '' && isOpen(published));
  if (api.length > 0) {
    warnings.push(`THE API IS PUBLISHED TO OTHERS (${api.join(', ')}) AND ASKS NOBODY WHO THEY ARE: see docs/tls.md`);
  }
  if (PUBLISHED_FOR_PEERS !== '' && isOpen(PUBLISHED_FOR_PEERS) && /plaintext/.test(PEERS)) {
    warnings.push(
      `${PEERS} LETS IN WHOEVER DOCKER SHOWS UNDER ITS BRIDGE, AND ${PUBLISHED_FOR_PEERS} IS PUBLISHED TO OTHERS:`,
      'that may be the whole world, in plaintext. Use files of keys: see docs/security.md',
    );
  }
  if (warnings.length === 0) return;
  const rule = '!'.repeat(120);
  console.error([rule, ...warnings.map((line) => `!!! ${line}`), rule].join('\n'));
}

// For the health check: healthy once each port has a ready replica.
createHttpServer((_request, response) => {
  const missing = [...watched.values()].filter(({ isReady }) => !isReady).map(({ service }) => service);
  response
    .writeHead(missing.length === 0 ? 200 : 503)
    .end(missing.length === 0 ? 'ready\n' : `nobody is ready: ${missing.join(', ')}\n`);
}).listen(HTTP_PORT, '0.0.0.0');

process.once('SIGTERM', () => process.exit(0));
