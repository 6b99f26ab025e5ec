import { type ConnFields, connBody, connFields, parseSpan, type SpanFields, spanBody, spanFields } from './payloads.ts';
import { PATIENCE_MS, RawPeer, type RawPeerOptions } from './raw-peer.ts';
import {
  CREATE,
  DBG_SHELL,
  DELETE,
  type Dialect,
  ERROR,
  isCmd,
  LNK_CONN,
  LNK_ERROR,
  LNK_PING,
  LNK_SPAN,
  type Message,
  REPLY,
  REVTRANS,
  textAux,
  textOf,
} from './wire.ts';

/** A relay that the peer holds: a LNK_SPAN that the router has opened to it. */
export interface HeldRelay {
  msgid: bigint;
  span: SpanFields;
  opened: Message;
}

export interface LivePeerOptions extends RawPeerOptions {
  /** The peer's msgids count up from here, by 16. Two peers may legally use the same ones. */
  idPrefix?: bigint;
}

/** The cluster of the spans that `World.settled` uses; never counted among a peer's relays. */
export const MARKER_CLUSTER = '5e771ed0-0a0b-11e4-8a21-01a2b3c4d5e6';

/**
 * A well-behaved DMSG peer: it acknowledges the router's LNK_CONN and relays, answers every end, answers PING, and
 * keeps a record of the relays that it holds. Messages that it does not handle stay in `raw.inbox`.
 */
export class LivePeer {
  readonly raw: RawPeer;
  readonly dialect: Dialect;
  /** Relays that are open now, by msgid. */
  readonly held = new Map<bigint, HeldRelay>();
  /** LNK_CONNs that it has open, by msgid. */
  readonly conns = new Map<bigint, ConnFields>();
  /** LNK_SPANs that it has open, by msgid, as they were opened. */
  readonly spans = new Map<bigint, SpanFields>();
  /** msgid of the router's LNK_CONN while it is open. */
  routerConn: bigint | null = null;
  /** When set, the peer answers nothing any more (a peer that hangs); bytes are still read. */
  isSilent = false;

  readonly #ends = new Map<bigint, () => void>();
  readonly #watchers = new Set<() => void>();
  readonly #unacknowledged = new Set<bigint>();
  #nextId: bigint;

  private constructor(raw: RawPeer, idPrefix: bigint) {
    this.raw = raw;
    this.dialect = raw.dialect;
    this.#nextId = idPrefix;
    raw.intercept = (message) => this.#handle(message);
    // When the router ends the connection, the peer ends its side, too.
    void raw.ended.then(() => {
      if (!this.isSilent) raw.end();
    });
  }

  static async connect(options: LivePeerOptions): Promise<LivePeer> {
    return new LivePeer(await RawPeer.connect(options), options.idPrefix ?? 0x5d893db9bf470000n);
  }

  /** Wraps a connection that a listener of the test has accepted. */
  static over(raw: RawPeer): LivePeer {
    return new LivePeer(raw, 0x1d893db9bf470000n);
  }

  /** A fresh msgid: ..10, ..20, ..30 and so on. */
  newId(): bigint {
    this.#nextId += 0x10n;
    return this.#nextId;
  }

  /** Opens a LNK_CONN and waits until it is acknowledged. Returns its msgid. */
  async openConn(fields: Partial<ConnFields> = {}): Promise<bigint> {
    const msgid = this.newId();
    const conn = connFields(fields);
    this.conns.set(msgid, conn);
    this.raw.send({ cmd: CREATE | LNK_CONN[this.dialect], msgid, body: connBody(this.dialect, conn) });
    await this.raw.expectCmd(CREATE | REPLY | this.rev | LNK_ERROR, msgid);
    return msgid;
  }

  /** Opens a span without waiting. Its acknowledgement (circuit) does not appear in the inbox. Returns its msgid. */
  openSpan(fields: Partial<SpanFields>): bigint {
    const msgid = this.newId();
    this.#unacknowledged.add(msgid);
    const span = spanFields(fields);
    this.spans.set(msgid, span);
    this.raw.send({ cmd: CREATE | LNK_SPAN, msgid, body: spanBody(this.dialect, span) });
    return msgid;
  }

  /** Sends a status message on an open span: no flags. */
  sendStatus(msgid: bigint, fields: Partial<SpanFields>): void {
    this.raw.send({ cmd: LNK_SPAN, msgid, body: spanBody(this.dialect, spanFields(fields)) });
  }

  /** Closes a LNK_CONN or span of this peer and waits for the router's DELETE. */
  async close(msgid: bigint): Promise<void> {
    this.conns.delete(msgid);
    this.spans.delete(msgid);
    const ended = new Promise<void>((resolve) => this.#ends.set(msgid, resolve));
    this.raw.send({ cmd: DELETE | LNK_ERROR, msgid });
    await within(ended, () => `${this.raw.name}: the end of ${msgid.toString(16)} was not answered`, this.raw);
  }

  /** Number of closed transactions that the router has not answered yet. */
  get closing(): number {
    return this.#ends.size;
  }

  /** Closes a relay that this peer holds and waits for the router's DELETE. */
  async refuse(relay: HeldRelay): Promise<void> {
    this.held.delete(relay.msgid);
    const ended = new Promise<void>((resolve) => this.#ends.set(relay.msgid, resolve));
    const flags = this.dialect === 'circuit' ? DELETE | REPLY | REVTRANS : CREATE | DELETE | REPLY;
    this.raw.send({ cmd: flags | LNK_ERROR, msgid: relay.msgid });
    await within(
      ended,
      () => `${this.raw.name}: the refusal of ${relay.msgid.toString(16)} was not answered`,
      this.raw,
    );
  }

  /** The relays that are open now, without those of markers, in order of arrival. */
  relays(): HeldRelay[] {
    return [...this.held.values()].filter(({ span }) => span.cluster !== MARKER_CLUSTER);
  }

  /** Waits for a relay for which `wants` is true. */
  async relay(wants: (span: SpanFields) => boolean, what = 'a relay'): Promise<HeldRelay> {
    return this.#watch(() => [...this.held.values()].find(({ span }) => wants(span)), what);
  }

  /** Waits until no relay is open for which `wants` is true. */
  async relayGone(wants: (span: SpanFields) => boolean, what = 'the end of a relay'): Promise<void> {
    await this.#watch(() => ([...this.held.values()].some(({ span }) => wants(span)) ? undefined : true), what);
  }

  /** Waits until a message for which `wants` is true has come, now or before; also while the peer is silent. */
  async received(wants: (message: Message) => boolean, what: string): Promise<void> {
    await this.#watch(() => this.raw.log.some(wants) || undefined, what);
  }

  /** Runs a debug-shell command and returns its lines, without line ends. */
  async shell(command: string): Promise<string[]> {
    this.raw.send({ cmd: DBG_SHELL, aux: textAux(command) });
    const lines: string[] = [];
    for (;;) {
      const message = await this.raw.expect(
        (one) => one.msgid === 0n && (isCmd(one, DBG_SHELL | REPLY) || isCmd(one, LNK_ERROR | REPLY)),
        `output of "${command}"`,
      );
      const text = textOf(message);
      if (isCmd(message, LNK_ERROR | REPLY) || text === 'debug> ') return lines;
      lines.push((text ?? '').replace(/\n$/, ''));
    }
  }

  barrier(): Promise<void> {
    return this.raw.barrier();
  }

  /** Closes the connection in order and waits until the router has closed its side, too. */
  async hangUp(): Promise<void> {
    this.raw.end();
    await this.raw.untilEnded();
    this.raw.destroy();
  }

  /** The REVTRANS flag of answers, in the dialect that has it. */
  get rev(): number {
    return this.dialect === 'circuit' ? REVTRANS : 0;
  }

  #handle(message: Message): boolean {
    const handled = this.isSilent || this.#answer(message);
    if (handled) for (const watcher of [...this.#watchers]) watcher();
    return handled;
  }

  #answer(message: Message): boolean {
    const { raw, dialect, rev } = this;
    const { msgid } = message;
    const isOpening = (message.cmd & CREATE) !== 0 && (message.cmd & REPLY) === 0;
    if (isOpening && (this.held.has(msgid) || msgid === this.routerConn)) {
      // architecture.md, "What must always hold" 1: msgids of open transactions are unique.
      throw new Error(`the router opened msgid ${msgid.toString(16)} twice`);
    }
    if (isCmd(message, CREATE | LNK_CONN[dialect])) {
      this.routerConn = msgid;
      raw.send({ cmd: CREATE | REPLY | rev | LNK_ERROR, msgid });
      return true;
    }
    if (isCmd(message, CREATE | LNK_SPAN)) {
      this.held.set(msgid, { msgid, span: parseSpan(dialect, message.body), opened: message });
      // linkid spans are not acknowledged: the first answer is the end (protocol.md, "Transactions").
      if (dialect === 'circuit') raw.send({ cmd: CREATE | REPLY | rev | LNK_ERROR, msgid });
      return true;
    }
    const isEnd = (message.cmd & DELETE) !== 0;
    const isReply = (message.cmd & REPLY) !== 0;
    if (isEnd && !isReply && this.held.delete(msgid)) {
      raw.send({ cmd: (dialect === 'circuit' ? DELETE : CREATE | DELETE) | REPLY | rev | LNK_ERROR, msgid });
      return true;
    }
    if (isEnd && !isReply && msgid === this.routerConn) {
      this.routerConn = null;
      raw.send({ cmd: DELETE | REPLY | rev | LNK_ERROR, msgid });
      return true;
    }
    const ended = this.#ends.get(msgid);
    if (isEnd && ended !== undefined) {
      this.#ends.delete(msgid);
      ended();
      return true;
    }
    if (isCmd(message, LNK_PING) && msgid === 0n) {
      raw.send(dialect === 'circuit' ? { cmd: LNK_PING | REPLY } : { cmd: LNK_ERROR | REPLY, error: ERROR.NOSUPP });
      return true;
    }
    return isCmd(message, CREATE | REPLY | REVTRANS | LNK_ERROR) && this.#unacknowledged.delete(msgid);
  }

  #watch<T>(look: () => T | undefined, what: string): Promise<T> {
    const found = look();
    if (found !== undefined) return Promise.resolve(found);
    const { promise, resolve } = Promise.withResolvers<T>();
    const watcher = () => {
      const value = look();
      if (value === undefined) return;
      this.#watchers.delete(watcher);
      resolve(value);
    };
    this.#watchers.add(watcher);
    return within(promise, () => `${this.raw.name}: ${what} did not come`, this.raw);
  }
}

/** Waits for the promise; fails after a time with a text that says what did not happen. */
async function within<T>(promise: Promise<T>, what: () => string, raw: RawPeer): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(what())), PATIENCE_MS);
  });
  const lost = raw.ended.then((how): never => {
    throw raw.fault ?? new Error(`${what()}: the connection ended (${how})`);
  });
  lost.catch(() => {});
  try {
    return await Promise.race([promise, late, lost]);
  } finally {
    clearTimeout(timer);
  }
}
