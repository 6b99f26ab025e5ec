/**
 * Load generator, a process of its own. In each pair of peers, the requester sends blocks to its owner, IN_FLIGHT at a
 * time, and is answered. Turns with only these pairs alternate with turns in which one more owner does not read while
 * its requester sends to it. Arguments: port dialect rounds seconds [owners' port]. Prints one JSON object: blocks of
 * each pair, for both kinds of turns.
 */
import {
  type BenchDialect,
  CREATE,
  DELETE,
  ERROR,
  GeneratorPeer,
  REPLY,
  REVCIRC,
  REVTRANS,
  SPAN,
  spanBody,
} from './generator-peer.ts';

const WRITE = 0x00500402;
const ANSWER = 0x00500401;
const BLK = 0x00500000;
const PROTOCOL = 0x00f00000;
const PAIRS = 4;
const IN_FLIGHT = 8;
const BLOCK = 64 * 1024;
/** Blocks that are sent to the owner that does not read: far more than may be queued for it. */
const STUCK_BLOCKS = 256;
/**
 * Milliseconds until these blocks are sent: making them takes time from the generator in which it could not serve the
 * other pairs.
 */
const SETTLE_MS = 500;
/** First numbers of nodes, and first msgid of spans. */
const OWNERS = 0x2000;
const REQUESTERS = 0x3000;
const FIRST_MSGID = 0x100000;

const port = Number(process.argv[2]);
const dialect = process.argv[3] as BenchDialect;
const rounds = Number(process.argv[4]);
const seconds = Number(process.argv[5]);
const ownerPort = Number(process.argv[6] ?? port);

/** An owner and its requester. */
class Pair {
  readonly #number: number;
  #owner!: GeneratorPeer;
  #requester!: GeneratorPeer;
  #relay = { lo: 0, hi: 0 };
  #next = FIRST_MSGID;
  #drained: (() => void) | null = null;
  done = 0;
  /** Whether each answer leads to another request. */
  readonly #goesOn: boolean;

  constructor(number: number, { goesOn }: { goesOn: boolean }) {
    this.#number = number;
    this.#goesOn = goesOn;
  }

  async open(): Promise<void> {
    const related = Promise.withResolvers<void>();
    this.#owner = await GeneratorPeer.open(ownerPort, dialect, `owner ${this.#number}`, (peer, buf, at, cmd) => {
      if ((cmd & PROTOCOL) === BLK && (cmd & (CREATE | REPLY)) >> 0 === CREATE >> 0) answer(peer, buf, at);
    });
    this.#requester = await GeneratorPeer.open(port, dialect, `requester ${this.#number}`, (_peer, buf, at, cmd) => {
      if ((cmd & 0xffffff) === SPAN && (cmd & (CREATE | REPLY)) >> 0 === CREATE >> 0) {
        if (buf.readUInt32LE(at + 80) !== OWNERS + this.#number) return;
        this.#relay = { lo: buf.readUInt32LE(at + 8), hi: buf.readUInt32LE(at + 12) };
        related.resolve();
      } else if ((cmd & (REPLY | DELETE)) === (REPLY | DELETE) && buf.readUInt32LE(at + 8) >= FIRST_MSGID) {
        this.done++;
        if (this.#goesOn) this.request();
        else this.#drained?.();
      }
    });
    for (const [peer, from] of [
      [this.#owner, OWNERS],
      [this.#requester, REQUESTERS],
    ] as const) {
      peer.send(SPAN | CREATE, from + this.#number, 0, 0, 0, 0, spanBody(dialect, from + this.#number), 0);
      peer.flush();
    }
    await related.promise;
  }

  request(): void {
    const { lo, hi } = this.#relay;
    const id = this.#next++;
    const [flags, aLo, aHi, b, bHi] =
      dialect === 'linkid' ? [0, REQUESTERS + this.#number, 0, lo, hi] : [REVCIRC, lo, hi, 0, 0];
    this.#requester.send(WRITE | CREATE | DELETE | flags!, id, 0, aLo!, aHi!, b!, null, BLOCK, bHi);
  }

  run(blocks: number): void {
    for (let i = 0; i < blocks; i++) this.request();
    this.#requester.flush();
  }

  /** The owner stops reading, and is sent `blocks` blocks. */
  stick(blocks: number): void {
    this.#owner.pause();
    this.run(blocks);
  }

  /** The owner reads again; resolves when it has got everything. */
  async drain(done: number): Promise<void> {
    this.#owner.resume();
    while (this.done < done) await new Promise<void>((resolve) => (this.#drained = resolve));
  }
}

function answer(peer: GeneratorPeer, buf: Buffer, at: number): void {
  const word = (offset: number) => buf.readUInt32LE(at + offset);
  if (dialect === 'linkid') {
    // An answer swaps source and target.
    peer.send(ANSWER | REPLY | CREATE | DELETE, word(8), word(12), word(24), word(28), word(16), null, 0, word(20));
  } else {
    peer.send(ERROR | REPLY | CREATE | DELETE | REVTRANS, word(8), word(12), word(16), word(20), 0, null, 0);
  }
}

/** The blocks of each pair in one turn. */
async function turn(pairs: readonly Pair[]): Promise<number[]> {
  const before = pairs.map(({ done }) => done);
  await pause(seconds * 1000);
  return pairs.map(({ done }, i) => done - before[i]!);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function add(to: number[], blocks: readonly number[]): void {
  for (const [i, each] of blocks.entries()) to[i]! += each;
}

const pairs = Array.from({ length: PAIRS }, (_, i) => new Pair(i, { goesOn: true }));
const stuck = new Pair(PAIRS, { goesOn: false });
for (const pair of [...pairs, stuck]) await pair.open();
for (const pair of pairs) pair.run(IN_FLIGHT);
// Not counted: the programs warm up.
await turn(pairs);
const alone = pairs.map(() => 0);
const beside = pairs.map(() => 0);
for (let round = 1; round <= rounds; round++) {
  await pause(SETTLE_MS);
  add(alone, await turn(pairs));
  stuck.stick(STUCK_BLOCKS);
  await pause(SETTLE_MS);
  add(beside, await turn(pairs));
  await stuck.drain(round * STUCK_BLOCKS);
}
console.log(JSON.stringify({ alone, beside }));
process.exit(0);
