import {
  ABORT,
  BLK_READ,
  CREATE,
  DBG_SHELL,
  DELETE,
  LNK_CONN_CIRCUIT,
  LNK_CONN_LINKID,
  LNK_ERROR,
  LNK_PAD,
  LNK_PING,
  LNK_SPAN,
  LNK_VOLCONF,
  REPLY,
  REVCIRC,
  REVTRANS,
} from '@spanmesh/dmsg/command';
import { CIRCUIT, type DialectRules, LINKID } from '@spanmesh/dmsg/dialect';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { FrameReader } from '@spanmesh/dmsg/framing';
import { CIRCUIT_AT, CMD_AT, CORE_HEADER_BYTES, MAGIC, MSGID_AT } from '@spanmesh/dmsg/header';
import { readU16, readU32 } from '@spanmesh/dmsg/words';
import { Actor } from './endpoint-actor.ts';
import { FuzzFrame } from './endpoint-frame.ts';
import { Conversation, type Expected, type Known } from './endpoint-model.ts';
import type { Random } from './random.ts';
import { recordedStreams } from './recordings.ts';
import { expectThat, Finding, type Target } from './target.ts';

// Control bytes: the dialect (bit 0); the greatest depth; the greatest number of transactions.
const CONTROL_BYTES = 3;
/** The bytes of a step: kind, flags, command, msgid, circuit, address, aux data and error, reactions. */
const STEP_BYTES = 8;
const MAX_STEPS = 80;
/** Steps with a lower kind are messages of the peer; the others are acts of the endpoint's user. */
const FIRST_ACT = 192;
/** Messages with a lower kind get flags that are allowed, so that a run gets beyond its first faults. */
const FIRST_UNRULY = 176;
/** Number of different msgids that the peer uses. */
const PEER_IDS = 12;

const COMMANDS = [
  LNK_ERROR,
  LNK_SPAN,
  LNK_CONN_CIRCUIT,
  LNK_CONN_LINKID,
  LNK_PING,
  DBG_SHELL,
  BLK_READ,
  LNK_VOLCONF,
  LNK_PAD,
  0x00777701,
] as const;

/** Valid bytes of flags, so that most runs do not end at their first message. */
const SENSIBLE_FLAGS = [0x80, 0x80, 0x80, 0xc0, 0x40, 0x00, 0x28, 0xa8, 0x68, 0xe8, 0x50, 0x78, 0x84, 0xac, 0x6c, 0x04];

/**
 * Endpoint against a hostile peer, message by message, with handlers that call back at random. Oracles: a second model
 * of the rules says what each message must cause (error, silence, notification, answer), and whether the peer may
 * refuse a message that was sent; sizes of tables agree with it; every notification comes once; after lost() all tables
 * are empty.
 */
export class EndpointTarget implements Target {
  readonly name = 'endpoint';
  readonly maxBytes = CONTROL_BYTES + MAX_STEPS * STEP_BYTES;
  readonly controlBytes = CONTROL_BYTES;
  readonly counts: Record<string, number> = { 'messages received': 0, 'messages sent': 0, 'protocol errors': 0 };

  readonly #frame = new FuzzFrame();
  readonly #grown = grownSteps();

  generate(random: Random, buf: Uint8Array): number {
    buf[0] = random.u32();
    buf[1] = random.below(8);
    buf[2] = random.oneIn(4) ? random.below(6) : 40;
    const steps = random.few(MAX_STEPS, 248);
    let at = CONTROL_BYTES;
    let recorded = random.pick(this.#grown);
    let next = 0;
    for (let i = 0; i < steps; i++, at += STEP_BYTES) {
      if (random.oneIn(3) && recorded.length > 0) {
        buf.set(recorded[next % recorded.length]!, at);
        next += random.few(3, 40);
        if (random.oneIn(12)) recorded = random.pick(this.#grown);
        if (random.oneIn(3)) buf[at + 1 + random.below(STEP_BYTES - 1)] = random.u32();
        buf[at + 7] = random.u32();
        continue;
      }
      random.fill(buf, at, at + STEP_BYTES);
      if (!random.oneIn(10)) buf[at + 1] = random.pick(SENSIBLE_FLAGS);
    }
    return at;
  }

  run(input: Uint8Array): void {
    if (input.length < CONTROL_BYTES) return;
    const rules = (input[0]! & 1) === 0 ? LINKID : CIRCUIT;
    const maxDepth = input[1]! & 15;
    const maxPeers = 1 + (input[2]! & 63);
    const actor = new Actor(rules, maxDepth, maxPeers);
    const model = new Conversation(rules, maxDepth, maxPeers);
    const ears = new FrameReader({ rules });
    const sink = {
      onFrame: (frame: Frame) => {
        this.counts['messages sent']!++;
        model.say(frame);
        checkClean(frame);
      },
    };
    const listen = (): void => {
      const { tape } = actor;
      if (tape.end === 0) return;
      ears.push(tape.buf.subarray(0, tape.end), sink);
      tape.end = 0;
    };
    // Messages that were sent before are checked first.
    actor.onAbandon = (tx) => {
      listen();
      model.abandon(!tx.openedByPeer, tx.msgidLo, tx.msgidHi);
    };
    for (let at = CONTROL_BYTES; at + STEP_BYTES <= input.length && !actor.endpoint.isLost; at += STEP_BYTES) {
      actor.seed((input[at + 6]! << 8) | input[at + 7]!);
      model.nextTurn();
      if (input[at]! >= FIRST_ACT) actor.act(input[at + 2]!, actor.some(input[at + 3]!), null);
      else if (!this.#hear(rules, actor, model, input, at, listen)) break;
      listen();
      if (actor.endpoint.isLost) break;
      model.checkAnswered();
      const { openCount } = actor.endpoint;
      expectThat(openCount === model.open, () => `${openCount} transactions open, there should be ${model.open}`);
    }
    actor.quiet();
    actor.endpoint.lost(ErrorCode.EOF);
    expectThat(actor.tape.end === 0, 'sent after lost()');
    actor.checkEmpty();
  }

  /** The peer sends the message of a step. False: it was a protocol error, and was treated as one. */
  #hear(
    rules: DialectRules,
    actor: Actor,
    model: Conversation,
    input: Uint8Array,
    at: number,
    listen: () => void,
  ): boolean {
    const frame = this.#frame;
    fillFrame(frame, rules, actor, model, input, at);
    const expected = model.hear(frame);
    this.counts['messages received']!++;
    let failed: DmsgError | null = null;
    try {
      actor.receive(frame);
    } catch (error) {
      if (!(error instanceof DmsgError)) throw error;
      failed = error;
    }
    compare(expected, failed, actor);
    if (failed === null) return true;
    this.counts['protocol errors']!++;
    listen();
    return false;
  }
}

/** All data sent here are zeros, so any other byte is old memory. */
function checkClean({ buf, off, headBytes, auxPadded }: Frame): void {
  for (let i = off + CORE_HEADER_BYTES; i < off + headBytes + auxPadded; i++) {
    if (buf[i] !== 0) throw new Finding(`old memory in a message, at ${i - off}`);
  }
}

function compare(expected: Expected, failed: DmsgError | null, actor: Actor): void {
  const code = failed === null ? 0 : failed.code;
  const wanted = expected === 'trans' ? ErrorCode.TRANS : expected === 'limit' ? ErrorCode.PARAM : 0;
  if (code !== wanted) throw new Finding(`${expected} expected, error ${code}${failed === null ? '' : failed.reason}`);
  const event =
    expected === 'accept' ? 'open' : expected === 'deliver' ? 'message' : expected === 'one-way' ? 'oneWay' : 'none';
  // A transaction that was refused, also for its depth, has no handler: its messages cause no notification.
  if (event === 'message' && actor.firstEvent === 'none') return;
  expectThat(actor.firstEvent === event, () => `${expected} expected, told of ${actor.firstEvent}`);
}

/** Makes a message from eight bytes. Ids are mostly those of known transactions. */
function fillFrame(
  frame: FuzzFrame,
  rules: DialectRules,
  actor: Actor,
  model: Conversation,
  input: Uint8Array,
  at: number,
): void {
  const flags = (input[at + 1]! & 0xfc) << 24;
  // linkid has no REVTRANS, which ends the connection at once: it is used rarely.
  const plain = !rules.stacked && input[at + 6]! < 250 ? flags & ~(REVTRANS | REVCIRC) : flags;
  const idChoice = input[at + 3]!;
  const isOwn = (plain & (rules.stacked ? REVTRANS : REPLY)) !== 0;
  const own = actor.own.length === 0 ? null : actor.own[actor.own.length - 1 - (idChoice % actor.own.length)]!;
  if (idChoice >= 236) setId(frame, 0, 0);
  else if (isOwn && own !== null) setId(frame, own.msgidLo, own.msgidHi);
  else setId(frame, 1 + (idChoice % PEER_IDS), idChoice >= 224 ? 2 : 0);

  let cmd = plain | COMMANDS[input[at + 2]! % COMMANDS.length]!;
  const known = model.find(isOwn, frame.msgidLo, frame.msgidHi);
  if (input[at]! < FIRST_UNRULY) cmd = allowed(cmd, rules, frame, isOwn, known);
  const address = input[at + 4]!;
  frame.targetLo = 0;
  frame.targetHi = 0;
  frame.circuitLo = 0;
  frame.circuitHi = 0;
  if (rules.stacked) {
    if (known !== undefined && address < 232) {
      cmd = known.circuit?.own === true ? cmd | REVCIRC : cmd & ~REVCIRC;
      frame.circuitLo = known.circuit?.lo ?? 0;
      frame.circuitHi = known.circuit?.hi ?? 0;
    } else if (address % 5 < 2) {
      if ((cmd & REVCIRC) !== 0 && actor.own.length > 0) {
        const circuit = actor.own[actor.own.length - 1 - (address % actor.own.length)]!;
        frame.circuitLo = circuit.msgidLo;
        frame.circuitHi = circuit.msgidHi;
      } else {
        frame.circuitLo = 1 + (address % PEER_IDS);
      }
    }
  } else if (known !== undefined && address < 232) {
    frame.circuitLo = known.to % 2 ** 32;
    frame.circuitHi = Math.floor(known.to / 2 ** 32);
    frame.targetLo = known.from % 2 ** 32;
    frame.targetHi = Math.floor(known.from / 2 ** 32);
  } else if (address % 5 === 0) {
    frame.circuitLo = 1 + (address & 3);
    frame.targetLo = 1 + (address >> 6);
  }
  frame.error = input[at + 6]! >> 2;
  frame.seal(rules, cmd, (input[at + 6]! & 3) * 40);
}

/** The command word with flags that the state of the transaction allows. */
function allowed(
  cmd: number,
  { stacked }: DialectRules,
  { msgidLo }: FuzzFrame,
  isOwn: boolean,
  known: Known | undefined,
): number {
  if (msgidLo === 0) return cmd & ~(CREATE | DELETE | ABORT | REVTRANS);
  const reply = !isOwn ? 0 : stacked ? REPLY | REVTRANS : REPLY;
  const word = (cmd & ~(CREATE | REPLY | REVTRANS)) | reply;
  if (known === undefined) return isOwn ? word & ~DELETE : word | CREATE;
  if (known.rxDeleted) return word | ABORT;
  return known.rxCreated ? word : word | CREATE;
}

function setId(frame: FuzzFrame, lo: number, hi: number): void {
  frame.msgidLo = lo;
  frame.msgidHi = hi;
}

/** The recorded streams as steps: flags and commands unchanged, ids numbered. */
function grownSteps(): Uint8Array[][] {
  return recordedStreams().map(({ messages }) => {
    const ids = new Map<string, number>();
    const numberOf = (lo: number, hi: number): number => {
      if ((lo | hi) === 0) return -1;
      const key = `${hi} ${lo}`;
      const number = ids.get(key) ?? ids.size % PEER_IDS;
      ids.set(key, number);
      return number;
    };
    return messages
      .filter((message) => message.length >= 64 && readU16(message, 0) === MAGIC)
      .map((message) => {
        const cmd = readU32(message, CMD_AT);
        const id = numberOf(readU32(message, MSGID_AT), readU32(message, MSGID_AT + 4));
        const circuit = numberOf(readU32(message, CIRCUIT_AT), readU32(message, CIRCUIT_AT + 4));
        const command = COMMANDS.findIndex((one) => (one & 0xffff00) === (cmd & 0xffff00));
        return Uint8Array.of(
          0,
          cmd >>> 24,
          command < 0 ? 9 : command,
          id < 0 ? 240 : id,
          circuit < 0 ? 4 : circuit * 60,
          0,
          0,
          0,
        );
      });
  });
}
