/**
 * Connects as often as it is told to, from one address; a process of its own, so that it holds up nobody who measures. Arguments: port,
 * attempts a second, kind=seconds… (a kind after the other). Prints a line when it begins, and one JSON object when it is over.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/** What is done with a connection that was made. */
export type FloodKind = 'close' | 'silent' | 'garbage';

/** What was reached with one kind. */
export interface FloodCount {
  kind: FloodKind;
  seconds: number;
  /** Connections begun. */
  attempts: number;
  /** Of these: made, as far as the kernel of the other side goes. */
  connected: number;
  /** Of these: ended by the other side. */
  ended: number;
  /** Attempts that failed, by the name of the error. */
  failed: Record<string, number>;
  /** Connections open at a time, at most. */
  mostOpen: number;
}

/** Milliseconds between two bursts. */
const BURST_MS = 4;
/** Milliseconds that a burst may make up for when this process has had no processor. */
const MAX_LATE_MS = 50;
/** Attempts that have neither succeeded nor failed, at most; an attempt that the other side's backlog has no room for lasts a second. */
const MAX_PENDING = 6_000;
/** Connections left open at a time: beyond it the oldest is dropped for a new one, so that our own file descriptors suffice. */
const MAX_OPEN = 6_000;

/** Attempts of one kind, for a while. */
export function flood(port: number, rate: number, kind: FloodKind, seconds: number): Promise<FloodCount> {
  const count: FloodCount = { kind, seconds, attempts: 0, connected: 0, ended: 0, failed: {}, mostOpen: 0 };
  const noise = randomBytes(512);
  const sockets = new Set<Socket>();
  let pending = 0;

  function attempt(): void {
    count.attempts++;
    pending++;
    const socket = connect({ port, host: '127.0.0.1' });
    sockets.add(socket);
    let isConnected = false;
    socket.once('connect', () => {
      isConnected = true;
      pending--;
      count.connected++;
      if (kind === 'garbage') socket.write(noise);
      // A reset leaves no TIME_WAIT behind: the ports of this host suffice.
      if (kind === 'close') socket.resetAndDestroy();
      else if (sockets.size > MAX_OPEN) drop(sockets.values().next().value!);
    });
    socket.once('end', () => {
      count.ended++;
      socket.resetAndDestroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (isConnected) count.ended++;
      else count.failed[error.code!] = (count.failed[error.code!] ?? 0) + 1;
    });
    socket.once('close', () => {
      if (!isConnected) pending--;
      sockets.delete(socket);
    });
    socket.resume();
  }

  function drop(socket: Socket): void {
    sockets.delete(socket);
    socket.resetAndDestroy();
  }

  const began = performance.now();
  let before = 0;
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      const passed = performance.now() - began;
      if (passed >= seconds * 1000) {
        clearInterval(timer);
        count.seconds = passed / 1000;
        for (const socket of sockets) socket.resetAndDestroy();
        resolve(count);
        return;
      }
      count.mostOpen = Math.max(count.mostOpen, sockets.size - pending);
      // What could not be begun for a while is not made up for: the rate is what it is.
      const due = Math.ceil((rate * Math.min(passed - before, MAX_LATE_MS)) / 1000);
      before = passed;
      for (let n = 0; n < due && pending < MAX_PENDING; n++) attempt();
    }, BURST_MS);
  });
}

if (import.meta.main) {
  const [port, rate, ...phases] = process.argv.slice(2);
  console.log('begun');
  const counts: FloodCount[] = [];
  for (const phase of phases) {
    const [kind, seconds] = phase.split('=');
    counts.push(await flood(Number(port), Number(rate), kind as FloodKind, Number(seconds)));
  }
  console.log(JSON.stringify(counts));
  process.exit(0);
}
