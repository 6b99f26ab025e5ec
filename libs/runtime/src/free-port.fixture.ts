import { createServer } from 'node:net';

/**
 * The range of ports. It is below the kernel's ephemeral ports (from 32768), so no outgoing connection takes a free one
 * before the process that was given it listens.
 */
const PORTS = { from: 10_000, to: 32_000 };

/**
 * Number of ports of each test process: processes run side by side, so each takes its ports from a part of the range
 * that is its own.
 */
const PART = 250;
let taken = 0;
/** Claimed when this process asks for its first port. */
let part: Promise<number> | undefined;

/** A loopback port on which nothing listens, from this process's own part of the range. */
export async function freePort(): Promise<number> {
  part ??= ownPart();
  const from = await part;
  for (;;) {
    const port = from + (taken++ % (PART - 1));
    if (await canListen(port)) return port;
  }
}

/** Claims a part by listening on its first port until this process ends, and returns the next port. */
async function ownPart(): Promise<number> {
  const parts = Math.floor((PORTS.to - PORTS.from) / PART);
  for (let tries = 0; tries < parts; tries++) {
    const from = PORTS.from + ((process.pid + tries) % parts) * PART;
    const claim = createServer().unref();
    const isOurs = await new Promise<boolean>((resolve) => {
      claim.once('error', () => resolve(false));
      claim.listen(from, '127.0.0.1', () => resolve(true));
    });
    if (isOurs) return from + 1;
  }
  throw new Error('every part of the ports that tests use is taken by another process');
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
