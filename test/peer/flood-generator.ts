/**
 * Connects from one address at a given rate. It is a process of its own, so that it does not slow the process that
 * measures. Arguments: port, attempts a second, kind=seconds… (one kind after the other). It prints a line when it
 * begins, and one JSON object at the end.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/** What is done with an established connection. */
export type FloodKind = 'close' | 'silent' | 'garbage';

/** The counts of one kind. */
export interface FloodCount {
  kind: FloodKind;
  seconds: number;
  /** Connections that were attempted. */
  attempts: number;
  /** Attempts that succeeded, at least for the kernel of the other side. */
  connected: number;
  /** Connections that the other side ended. */
  ended: number;
  /** Attempts that failed, by the name of the error. */
  failed: Record<string, number>;
  /** Most connections that were open at a time. */
  mostOpen: number;
}

/** Milliseconds between two bursts of attempts. */
const BURST_MS = 4;
/** Milliseconds for which a burst may catch up when this process got no CPU time. */
const MAX_LATE_MS = 50;
/** Most attempts whose outcome is open. One for which the other side's backlog has no room lasts a second. */
const MAX_PENDING = 6_000;
/**
 * Most connections that stay open. Beyond it the oldest is closed for each new one, so that this process does not run
 * out of file descriptors.
 */
const MAX_OPEN = 6_000;

/** Makes attempts of one kind for `seconds`. */
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
      // A reset leaves no TIME_WAIT behind, so that this host does not run out of ports.
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
      // Attempts missed during a longer pause are not caught up: that would exceed the rate.
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
