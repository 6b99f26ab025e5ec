// Measures whether the duration of a failed handshake shows what was wrong with it: `node
// test/security/handshake-timing.ts [tries]`. The default of 20,000 tries of each kind takes some minutes. Exit code 1:
// it does show.
//
// There are two measurements. "work" is the duration of reading alone, in this process with nothing else running:
// nobody outside can see more than that. "close" is measured from outside, over TCP: from the last of the 512 bytes
// until the gateway closes the connection.
import { connect } from 'node:net';
import { readHandshake } from '@spanmesh/dmsg/crypto/handshake';
import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { printTable } from '../bench/table.ts';
import { type CryptKeys, HANDSHAKE } from '../peer/crypt.ts';
import { ServiceProcess } from '../peer/installation.ts';
import { KeysDir } from '../peer/keys-dir.ts';
import { rankTest } from './rank-test.ts';
import { KINDS, type Kind, wrongHandshakes } from './wrong-handshakes.ts';

const DEFAULT_TRIES = 20_000;
/** Number of different handshakes of each kind. */
const POOL = 1_000;
/** A larger value appears by chance once in 16,000 comparisons; there are six. */
const LARGEST_Z = 4;
/** Connections at a time, and the time limit of each handshake: the gateway reads all of them long before. */
const AT_A_TIME = 16;
const TIMEOUT_MS = 300;
/** First tries that are not counted, while code is compiled and caches are filled. */
const WARM_UP = 500;

type Times = Record<Kind, Float64Array>;

const tries = Number(process.argv[2] ?? DEFAULT_TRIES);
/** Collects the times of each kind. */
class Recorder {
  readonly times: Times = {
    'top bits between the keys': new Float64Array(tries),
    'top bits': new Float64Array(tries),
    fields: new Float64Array(tries),
  };
  readonly #counts: Record<Kind, number> = { 'top bits between the keys': 0, 'top bits': 0, fields: 0 };

  add(kind: Kind, time: number): void {
    this.times[kind][this.#counts[kind]++] = time;
  }
}

const keys = new KeysDir();
const receiver: CryptKeys = { own: keys.router.own, peer: keys.peer.shown };
const pool = wrongHandshakes(POOL, receiver);
/** The kinds in random order. */
const order: Kind[] = KINDS.flatMap((kind) => Array.from({ length: tries }, () => kind));
for (let at = order.length - 1; at > 0; at--) {
  const other = Math.floor(Math.random() * (at + 1));
  [order[at], order[other]] = [order[other]!, order[at]!];
}

try {
  const isHidden = [report('work: reading, µs', work()), report('close: from the last byte, µs', await closes())];
  process.exitCode = isHidden.every(Boolean) ? 0 : 1;
} finally {
  keys.remove();
}

function oneOf(kind: Kind): Buffer {
  return pool[kind][Math.floor(Math.random() * POOL)]!;
}

function work(): Times {
  const recorder = new Recorder();
  for (let n = 0; n < WARM_UP; n++) readingTime(oneOf(KINDS[n % KINDS.length]!));
  for (const kind of order) recorder.add(kind, readingTime(oneOf(kind)));
  return recorder.times;
}

function readingTime(wire: Buffer): number {
  const start = process.hrtime.bigint();
  try {
    readHandshake(wire, receiver);
  } catch {
    return Number(process.hrtime.bigint() - start) / 1e3;
  }
  throw new Error('a wrong handshake was taken');
}

async function closes(): Promise<Times> {
  const port = await freePort();
  keys.write('remote/127.0.0.1.pub', keys.peer.pub);
  const gateway = await ServiceProcess.start('standalone', {
    SPANMESH_DATA_DIR: '',
    SPANMESH_LOG_LEVEL: 'error',
    SPANMESH_DMSG_LISTEN: `circuit://127.0.0.1:${port}`,
    SPANMESH_KEYS_DIR: keys.path,
    SPANMESH_HANDSHAKE_TIMEOUT: `${TIMEOUT_MS}ms`,
    // With the default limits the gateway would refuse all but twenty handshakes unread.
    SPANMESH_FAILED_HANDSHAKES_PER_ADDRESS: '1000000',
    SPANMESH_FAILED_HANDSHAKES_PER_KEY: '1000000',
  });
  const recorder = new Recorder();
  try {
    await gateway.ready();
    for (let n = 0; n < WARM_UP; n++) await Promise.all(atATime(() => closeTime(port, oneOf('fields')), n));
    let next = 0;
    const tryThem = async () => {
      while (next < order.length) {
        const kind = order[next++]!;
        recorder.add(kind, await closeTime(port, oneOf(kind)));
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, tryThem));
  } finally {
    await gateway.stop();
  }
  return recorder.times;
}

/** Starts AT_A_TIME connections at every AT_A_TIMEth call, and none otherwise. */
function atATime(one: () => Promise<unknown>, n: number): Promise<unknown>[] {
  return n % AT_A_TIME === 0 ? Array.from({ length: AT_A_TIME }, one) : [];
}

/**
 * The time from our last byte until the connection is closed. If the gateway was too busy to send its half in time,
 * another attempt is made.
 */
async function closeTime(port: number, wire: Buffer): Promise<number> {
  for (;;) {
    const time = await attempt(port, wire);
    if (time !== null) return time;
  }
}

/** One attempt; null: the connection was closed before the gateway had sent its half. */
function attempt(port: number, wire: Buffer): Promise<number | null> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    let received = 0;
    let start = 0n;
    socket.on('data', (chunk) => {
      received += chunk.length;
      if (received !== HANDSHAKE) return;
      start = process.hrtime.bigint();
      socket.write(wire);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      resolve(start === 0n ? null : Number(process.hrtime.bigint() - start) / 1e3);
    });
  });
}

/** Prints the results; true: no kind can be distinguished from another. */
function report(title: string, times: Times): boolean {
  const rows = KINDS.map((kind) => {
    const sorted = times[kind].toSorted();
    const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(0);
    return [kind, String(sorted.length), at(0.01), at(0.1), at(0.5), at(0.9)];
  });
  printTable(title, [['first wrong check', 'tries', '1 %', '10 %', 'median', '90 %'], ...rows]);
  let isHidden = true;
  for (const [n, first] of KINDS.entries()) {
    for (const second of KINDS.slice(n + 1)) {
      const { z, share } = rankTest(times[first], times[second]);
      const isTold = Math.abs(z) > LARGEST_Z;
      if (isTold) isHidden = false;
      const verdict = isTold ? 'CAN BE TOLD APART' : 'not told apart';
      console.log(`${first} / ${second}: ${(100 * share).toFixed(2)} % are slower, z = ${z.toFixed(2)}: ${verdict}`);
    }
  }
  return isHidden;
}
