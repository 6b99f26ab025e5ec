/**
 * Load generator, a process of its own: pairs of peers from addresses of 127.0.1.0/24. One peer of a pair owns a span,
 * the other runs transactions on its relay. Arguments: port pairs seconds rate. `rate`: transactions a second of all
 * pairs together; 0: as many as possible, 8 of each pair at a time. Prints a line when the measurement begins, and one
 * JSON object at the end.
 */
import { performance } from 'node:perf_hooks';
import { answerBlock, askForBlock, asksForBlock, isAnswer, type RelayName } from './generator-blocks.ts';
import { CREATE, GeneratorPeer, REPLY, SPAN, spanBody } from './generator-peer.ts';

/** The results. */
export interface PacedResult {
  answeredPerSecond: number;
  p50Us: number;
  p99Us: number;
}

const SPAN_MSGID = 0x2000;
const FIRST_MSGID = 0x100000;
const FIRST_NODE = 0xb00;
/**
 * Open transactions of a pair when there is no rate; and most of them in any case (a power of two, because the slot is
 * in the msgid).
 */
const INFLIGHT = 8;
const SLOTS = 1024;
/** Milliseconds between two batches when there is a rate. */
const BATCH_MS = 2;
/** Most latencies that are kept. */
const SAMPLES = 1 << 20;

const [port, pairs, seconds, rate] = process.argv.slice(2).map(Number) as [number, number, number, number];

const latencies = new Float64Array(SAMPLES);
let samples = 0;
let answered = 0;
let measuring = false;

/** A peer that asks. Its transactions are numbered, with the slot in the lowest bits. */
class Asker {
  relay: RelayName | null = null;
  peer!: GeneratorPeer;
  readonly #sentAt = new Float64Array(SLOTS);
  readonly #free = Array.from({ length: SLOTS }, (_, slot) => slot);
  #next = 0;

  /** Opens a transaction. False: too many are open. */
  ask(now: number): boolean {
    const slot = this.#free.pop();
    if (slot === undefined) return false;
    this.#sentAt[slot] = now;
    const id = FIRST_MSGID + (this.#next++ % 0x3fff0) * SLOTS + slot;
    askForBlock(this.peer, id, this.relay!, SPAN_MSGID);
    return true;
  }

  answered(id: number, now: number): void {
    const slot = id & (SLOTS - 1);
    this.#free.push(slot);
    answered++;
    if (measuring && samples < SAMPLES) latencies[samples++] = now - this.#sentAt[slot]!;
  }
}

let waiting = pairs;
let onRelays: () => void = () => {};
let onAnswer: (asker: Asker) => void = () => {};
const askers: Asker[] = [];
for (let n = 0; n < pairs; n++) {
  const answer = (peer: GeneratorPeer, buf: Buffer, at: number, cmd: number) => {
    if (asksForBlock(cmd)) answerBlock(peer, buf, at);
  };
  const owner = await GeneratorPeer.open(port, 'circuit', `owner${n}`, answer, { localAddress: `127.0.1.${n + 1}` });
  owner.send(SPAN | CREATE, SPAN_MSGID, 0, 0, 0, 0, spanBody('circuit', FIRST_NODE + n), 0);
  owner.flush();
  const asker = new Asker();
  askers.push(asker);
  const take = (_peer: GeneratorPeer, buf: Buffer, at: number, cmd: number) => {
    if ((cmd & 0xffffff) === SPAN && (cmd & (CREATE | REPLY)) >> 0 === CREATE >> 0) {
      if (buf.readUInt32LE(at + 80) !== FIRST_NODE + n) return;
      asker.relay = { lo: buf.readUInt32LE(at + 8), hi: buf.readUInt32LE(at + 12) };
      waiting--;
      onRelays();
    } else if (isAnswer(buf, at, cmd, FIRST_MSGID)) {
      asker.answered(buf.readUInt32LE(at + 8), performance.now());
      onAnswer(asker);
    }
  };
  asker.peer = await GeneratorPeer.open(port, 'circuit', `asker${n}`, take, {
    localAddress: `127.0.1.${pairs + n + 1}`,
  });
}
if (waiting > 0) await new Promise<void>((resolve) => (onRelays = () => waiting === 0 && resolve()));

if (rate === 0) {
  onAnswer = (asker) => void asker.ask(performance.now());
  for (const asker of askers) {
    for (let n = 0; n < INFLIGHT; n++) asker.ask(performance.now());
    asker.peer.flush();
  }
} else {
  let due = 0;
  let before = performance.now();
  let turn = 0;
  setInterval(() => {
    const now = performance.now();
    due += ((now - before) / 1000) * rate;
    before = now;
    for (; due >= 1; due--) askers[turn++ % pairs]!.ask(now);
    for (const asker of askers) asker.peer.flush();
  }, BATCH_MS);
}
// Not counted: the programs warm up.
setTimeout(() => {
  console.log('begun');
  measuring = true;
  const [answeredBefore, began] = [answered, performance.now()];
  setTimeout(() => {
    const sorted = latencies.subarray(0, samples).sort();
    const result: PacedResult = {
      answeredPerSecond: ((answered - answeredBefore) / (performance.now() - began)) * 1000,
      p50Us: sorted[samples >> 1]! * 1000,
      p99Us: sorted[Math.floor(samples * 0.99)]! * 1000,
    };
    console.log(JSON.stringify(result));
    process.exit(0);
  }, seconds * 1000);
}, 1000);
