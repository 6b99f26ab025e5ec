import type { Capture, CaptureEntry, RecordedMessage } from './capture.ts';
import { isBarrierAnswer, type RawPeer } from './raw-peer.ts';
import {
  CREATE,
  DELETE,
  type Dialect,
  describeMessage,
  fieldWriter,
  isCmd,
  LNK_CONN,
  LNK_SPAN,
  type Message,
  MessageReader,
  padded,
  REPLY,
  REVCIRC,
  REVTRANS,
  sealHeader,
  textOf,
} from './wire.ts';

/**
 * The end of our router's LNK_CONN, after the fields (protocol.md, "Payloads": 456 of 512 and 328 of 384 bytes are
 * used), holds a random mark by which it recognises a connection with itself; the references send 0 there.
 */
const MARK_BYTES = 16;

/**
 * How our router's message compares to the recorded one: as recorded, or with a known difference. `in another order`:
 * the messages that are marked so may come in any order among themselves.
 */
export type Ours = 'as recorded' | 'missing' | 'closes' | 'in another order' | Partial<Message>;

export interface ReplayDependencies {
  /** Makes a new connection for the recording's `conn`. */
  connect: (conn: string) => Promise<RawPeer>;
  /** Resolves when everything that was sent on these connections has had its effects. */
  settled: (peers: RawPeer[]) => Promise<void>;
  /** The known difference for an entry. `step`: text of the last step; `nth`: see capture-differences.ts. */
  oursFor: (step: string | null, conn: string, entry: string, nth: number) => Ours;
  /**
   * Messages of our router in this step that were not recorded, in order: command words in hexadecimal, followed by the
   * error if there is one.
   */
  extrasFor?: (step: string | null, conn: string) => readonly string[];
}

/** One connection of a recording that is played, with its ids in the recording and in this run. */
interface Line {
  peer: RawPeer;
  /** The daemon's msgids: recorded → in this run. */
  ids: Map<bigint, bigint>;
  /** Transactions that the daemon opened in the recording and our router, correctly, does not. */
  omitted: Set<bigint>;
  /** msgids of relays: in the recording, and in this run. */
  recordedRelays: Set<bigint>;
  relays: Set<bigint>;
  /** msgids of the client's LNK_CONNs. */
  conns: Set<bigint>;
  lastRelayEnd: Message | null;
}

/**
 * Plays the client's side of a recording to a router and compares the router's messages with the daemon's: for each
 * connection in order, byte for byte, except for what differs from run to run: msgids, salts and CRCs, the
 * installation's rnss constant, padding after a text's NUL, and the shell's `via` numbers (compared by first
 * appearance). Order: our router does not decide about relays in the connection, so their openings and ends may come
 * later among the other messages than in the recording. Checked are the order of the relays' openings, the order of all
 * other messages, and that a LNK_CONN's end comes after the ends of its relays; the ends of relays may come in any
 * order.
 */
export class Replay {
  readonly #dialect: Dialect;
  readonly #capture: Capture;
  readonly #deps: ReplayDependencies;
  readonly #lines = new Map<string, Line>();
  readonly #rnss: { recorded: number; ours: number | null };
  readonly #recordedVia = new Map<string, number>();
  readonly #via = new Map<string, number>();
  readonly #counts = new Map<string, number>();
  #step: string | null = null;
  /** rnss of the span whose relay is being compared. */
  #offeredRnss = 0;

  constructor(capture: Capture, deps: ReplayDependencies) {
    this.#capture = capture;
    this.#dialect = capture.dialect;
    this.#deps = deps;
    this.#rnss = { recorded: recordedRnssConstant(capture), ours: null };
  }

  async run(): Promise<void> {
    for (const [at, entry] of this.#capture.entries.entries()) {
      try {
        await this.#play(entry);
      } catch (error) {
        throw new Error(`entry ${at} (${summary(entry)}), after "${this.#step}": ${(error as Error).message}`, {
          cause: error,
        });
      }
    }
    await this.#nothingMore();
  }

  async #play(entry: CaptureEntry): Promise<void> {
    if (entry.kind === 'step') {
      await this.#nothingMore();
      this.#step = entry.text;
      this.#counts.clear();
      if (entry.text.includes('half-close')) for (const { peer } of this.#lines.values()) peer.end();
      return;
    }
    const line = await this.#line(entry.conn);
    if (entry.kind === 'event') {
      await this.#event(line, entry.conn, entry.text);
    } else if (entry.fromClient) {
      this.#sendRecorded(line, entry);
    } else {
      await this.#compare(line, entry);
    }
  }

  async #event(line: Line, conn: string, text: string): Promise<void> {
    const ours = this.#deps.oursFor(this.#step, conn, 'event', 0);
    if (text === 'connection closed' && ours === 'as recorded') {
      line.peer.end();
      await line.peer.untilEnded();
    } else if (text === 'the daemon closed its side too' || ours === 'closes') {
      await line.peer.untilEnded();
    } else {
      throw new Error(`unknown event: ${text}`);
    }
  }

  /** Sends the client's recorded bytes with the ids and the salt of this run. */
  #sendRecorded(line: Line, entry: RecordedMessage): void {
    const message = parse(this.#dialect, entry.bytes);
    const answersDaemon =
      message.msgid !== 0n && (message.cmd & (this.#dialect === 'circuit' ? REVTRANS : REPLY)) !== 0;
    if (answersDaemon && line.omitted.has(message.msgid)) return;
    const raw = Buffer.from(entry.bytes);
    const put = fieldWriter(raw, message.bigEndian);
    put.u32(4, ((message.salt & 0xffffff00) | (line.peer.nextSalt() & 0xff)) >>> 0);
    if (answersDaemon) {
      const id = line.ids.get(message.msgid);
      if (id === undefined) throw new Error(`the daemon's msgid ${message.msgid.toString(16)} has not come yet`);
      put.u64(8, id);
    }
    // circuit: the message is on a circuit that the daemon opened; linkid: its target is the daemon's relay.
    const namesDaemons = this.#dialect === 'circuit' ? (message.cmd & REVCIRC) !== 0 : line.ids.has(message.target);
    if (this.#dialect === 'circuit' && namesDaemons) put.u64(16, idOf(line, message.circuit));
    if (this.#dialect === 'linkid' && namesDaemons) put.u64(24, idOf(line, message.target));
    if (isCmd(message, CREATE | LNK_CONN[this.#dialect])) line.conns.add(message.msgid);
    sealHeader(raw, 64 + message.body.length, message.bigEndian);
    line.peer.sendBytes(raw);
  }

  #extrasFor(conn: string): readonly string[] {
    return this.#deps.extrasFor?.(this.#step, conn) ?? [];
  }

  async #compare(line: Line, entry: RecordedMessage): Promise<void> {
    const recorded = parse(this.#dialect, entry.bytes);
    const key = `${entry.conn} ${entry.msg}`;
    const nth = this.#counts.get(key) ?? 0;
    this.#counts.set(key, nth + 1);
    const isRelay = this.#isRelay(recorded, line.recordedRelays);
    const ours = this.#deps.oursFor(this.#step, entry.conn, entry.msg, nth);
    if (ours === 'missing') {
      if ((recorded.cmd & CREATE) !== 0 && (recorded.cmd & REPLY) === 0) line.omitted.add(recorded.msgid);
      return;
    }
    if (line.omitted.has(recorded.msgid)) return;
    const ownId = (recorded.cmd & REPLY) === 0 ? line.ids.get(recorded.msgid) : recorded.msgid;
    const endOf = (isRelay && (recorded.cmd & DELETE) !== 0) || ours === 'in another order' ? ownId : undefined;
    // Messages that were not recorded are left for the end of the step.
    const extras = new Set(this.#extrasFor(entry.conn));
    const isExtra = (message: Message) => extras.has(extraName(message)) && message.cmd !== recorded.cmd;
    const actual = await line.peer.expect(
      (message) =>
        this.#isRelay(message, line.relays) === isRelay &&
        (endOf === undefined || message.msgid === endOf) &&
        !isExtra(message),
      describeMessage(recorded),
    );
    const expected = typeof ours === 'object' ? { ...recorded, ...ours } : recorded;
    this.#compareMessages(line, expected, actual);
    if (isRelay && (actual.cmd & DELETE) !== 0) line.lastRelayEnd = actual;
    if ((actual.cmd & DELETE) !== 0 && line.conns.has(actual.msgid) && line.lastRelayEnd !== null) {
      const { log } = line.peer;
      if (log.indexOf(line.lastRelayEnd) > log.indexOf(actual)) {
        throw new Error('the end of a LNK_CONN came before the end of its relay');
      }
    }
  }

  #compareMessages(line: Line, recorded: Message, actual: Message): void {
    const wrong: string[] = [];
    const same = (field: string, a: unknown, b: unknown) => {
      if (a !== b) wrong.push(`${field}: recorded ${String(a)}, ours ${String(b)}`);
    };
    const opensOwn = (recorded.cmd & CREATE) !== 0 && (recorded.cmd & REPLY) === 0;
    if (opensOwn) {
      line.ids.set(recorded.msgid, actual.msgid);
      if (actual.msgid === 0n) wrong.push('msgid: ours is 0');
    }
    const isDaemons = recorded.msgid !== 0n && (recorded.cmd & REPLY) === 0;
    same('cmd', hex(recorded.cmd), hex(actual.cmd));
    same('msgid', isDaemons ? line.ids.get(recorded.msgid) : recorded.msgid, actual.msgid);
    const onDaemons = this.#dialect === 'circuit' && recorded.circuit !== 0n && (recorded.cmd & REVCIRC) === 0;
    same('circuit/source', onDaemons ? idOf(line, recorded.circuit) : recorded.circuit, actual.circuit);
    same('verifier/target', recorded.target, actual.target);
    same('error', recorded.error, actual.error);
    same('aux_descr', recorded.auxDescr, actual.auxDescr);
    same('aux_bytes beyond the text', this.#spareAux(recorded), this.#spareAux(actual));
    const recordedBody = this.#body(recorded, 'recorded');
    const body = this.#body(actual, 'ours');
    const differs = firstDifference(recordedBody, body);
    if (differs !== null) wrong.push(`body: differs at offset ${differs + 64} of the message`);
    same('text', this.#text(recorded, true), this.#text(actual, false));
    const text = textOf(actual);
    // In a message that is passed on, the padding is the sender's.
    const isPassedOn = actual.aux.equals(recorded.aux);
    if (text !== null && !isPassedOn && actual.aux.subarray(text.length).some((byte) => byte !== 0)) {
      wrong.push('padding: not zero after the text');
    }
    if (wrong.length > 0) {
      throw new Error(`recorded ${describeMessage(recorded)}, ours ${describeMessage(actual)}; ${wrong.join('; ')}`);
    }
  }

  /**
   * The extended header without what differs from run to run: a relay's rnss less the router's constant, our LNK_CONN
   * without its mark.
   */
  #body(message: Message, whose: 'recorded' | 'ours'): Buffer {
    const body = Buffer.from(message.body);
    if (whose === 'ours' && isCmd(message, CREATE | LNK_CONN[this.#dialect])) body.fill(0, body.length - MARK_BYTES);
    if (this.#dialect !== 'circuit' || !isCmd(message, CREATE | LNK_SPAN)) return body;
    const rnss = body.readUInt32LE(116 - 64);
    if (whose === 'ours' && this.#rnss.ours === null) {
      // The first relay shows our constant (its recorded body is compared first); all later ones must agree.
      this.#rnss.ours = (rnss - this.#offeredRnss) >>> 0;
    }
    const offered = (rnss - (whose === 'recorded' ? this.#rnss.recorded : this.#rnss.ours!)) >>> 0;
    if (whose === 'recorded') this.#offeredRnss = offered;
    body.writeUInt32LE(offered, 116 - 64);
    return body;
  }
  /**
   * A shell text, with `via` numbers replaced by their order of appearance and this run's msgids by the recorded ones.
   */
  #text(message: Message, isRecorded: boolean): string | null {
    const text = textOf(message);
    if (text === null) return null;
    const seen = isRecorded ? this.#recordedVia : this.#via;
    return text
      .replace(/via (\d+)/g, (_, number: string) => {
        if (!seen.has(number)) seen.set(number, seen.size + 1);
        return `via #${seen.get(number)}`;
      })
      .replace(/Relay-out msgid ([0-9a-f]{16})/g, (_, id: string) => {
        return `Relay-out msgid ${isRecorded ? (this.#ourId(BigInt(`0x${id}`)) ?? 'unknown') : id}`;
      });
  }

  /** aux_bytes less the bytes of the text and its NUL: `via` numbers may have more digits than in the recording. */
  #spareAux(message: Message): number {
    const text = textOf(message);
    const needed = text === null ? 0 : text.length + 1;
    return message.auxBytes - (this.#dialect === 'circuit' ? needed : padded(needed) / 64);
  }

  /** The id in this run, as text, of a msgid that the daemon used in the recording, on any connection. */
  #ourId(recorded: bigint): string | undefined {
    for (const { ids } of this.#lines.values()) {
      const id = ids.get(recorded);
      if (id !== undefined) return id.toString(16).padStart(16, '0');
    }
    return undefined;
  }

  /** Whether the message opens or ends a relay; remembers relays that are opened. */
  #isRelay(message: Message, relays: Set<bigint>): boolean {
    if ((message.cmd & REPLY) !== 0) return false;
    if (isCmd(message, CREATE | LNK_SPAN)) {
      relays.add(message.msgid);
      return true;
    }
    return (message.cmd & DELETE) !== 0 && relays.has(message.msgid);
  }

  async #line(conn: string): Promise<Line> {
    const known = this.#lines.get(conn);
    if (known !== undefined) return known;
    const line: Line = {
      peer: await this.#deps.connect(conn),
      ids: new Map(),
      omitted: new Set(),
      recordedRelays: new Set(),
      relays: new Set(),
      conns: new Set(),
      lastRelayEnd: null,
    };
    this.#lines.set(conn, line);
    return line;
  }

  /** Waits until the router is quiet, then checks that it has sent nothing that was not recorded. */
  async #nothingMore(): Promise<void> {
    const peers = [...this.#lines.values()].map(({ peer }) => peer).filter((peer) => !peer.isEnded);
    await this.#deps.settled(peers.filter((peer) => !peer.socket.writableEnded));
    for (const [conn, { peer }] of this.#lines) {
      if (peer.fault !== null) throw peer.fault;
      const more = peer.inbox.filter((message) => !isBarrierAnswer(this.#dialect, message));
      const extras = this.#extrasFor(conn);
      if (extras.length > 0 && more.map(extraName).join() === extras.join()) {
        peer.inbox.length = 0;
        continue;
      }
      if (extras.length > 0)
        throw new Error(`${conn} should have got ${extras.join()}, not ${more.map(extraName).join()}`);
      if (peer.inbox.length > 0) {
        throw new Error(
          `${conn} got more than recorded: ${(more.length > 0 ? more : peer.inbox).map(describeMessage).join('; ')}`,
        );
      }
    }
  }
}

/** The id in this run of a msgid that the daemon used in the recording on this connection. */
function idOf(line: Line, recorded: bigint): bigint {
  const id = line.ids.get(recorded);
  if (id === undefined) throw new Error(`the daemon's id ${recorded.toString(16)} has not come yet`);
  return id;
}

/** The text that `extrasFor` uses for this message. */
function extraName({ cmd, error }: Message): string {
  return error === 0 ? hex(cmd) : `${hex(cmd)} ${error.toString(16)}`;
}

function firstDifference(a: Buffer, b: Buffer): number | null {
  if (a.length !== b.length) return Math.min(a.length, b.length);
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at < 0 ? null : at;
}

function parse(dialect: Dialect, bytes: Buffer): Message {
  return new MessageReader(dialect, { checkSalt: false, checkZero: 'none' }).push(bytes)[0]!;
}

/** The number that the recorded router added to rnss, from the first relay and the client's span that it relays. */
function recordedRnssConstant({ dialect, entries }: Capture): number {
  if (dialect !== 'circuit') return 0;
  const spans = entries
    .filter((entry) => entry.kind === 'message')
    .filter((entry) => entry.msg === 'LNK_SPAN' && entry.flags.includes('CREATE'))
    .map((entry) => ({ fromClient: entry.fromClient, body: parse(dialect, entry.bytes).body }));
  const relay = spans.find(({ fromClient }) => !fromClient);
  if (relay === undefined) return 0;
  // The span of the same node whose dist fits.
  const origin = spans.find(
    ({ fromClient, body }) =>
      fromClient &&
      body.subarray(16, 32).equals(relay.body.subarray(16, 32)) &&
      body.readUInt32LE(112 - 64) + 1 === relay.body.readUInt32LE(112 - 64),
  );
  return (relay.body.readUInt32LE(116 - 64) - origin!.body.readUInt32LE(116 - 64)) >>> 0;
}

function summary(entry: CaptureEntry): string {
  if (entry.kind === 'step') return `step "${entry.text}"`;
  if (entry.kind === 'event') return `${entry.conn}: ${entry.text}`;
  return `${entry.conn} ${entry.fromClient ? '>' : '<'} ${entry.msg}|${entry.flags}`;
}

function hex(cmd: number): string {
  return (cmd >>> 0).toString(16).padStart(8, '0');
}
