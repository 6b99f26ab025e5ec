import { type Socket, connect as tcpConnect } from 'node:net';
import { type CryptKeys, CryptSide } from './crypt.ts';
import {
  DBG_SHELL,
  type Dialect,
  describeMessage,
  encode,
  isCmd,
  LNK_ERROR,
  LNK_PING,
  type Message,
  MessageReader,
  type Outgoing,
  REPLY,
  type ZeroCheck,
} from './wire.ts';

/**
 * Milliseconds after which a test fails because an awaited event has not happened: far more than anything takes, less
 * than the test's own limit.
 */
export const PATIENCE_MS = 60_000;

export interface RawPeerOptions {
  port: number;
  host?: string;
  dialect: Dialect;
  /** Local address: lets a router distinguish peers by address. */
  localAddress?: string;
  name?: string;
  /** Encrypts the connection, after a handshake. */
  crypt?: CryptKeys | CryptSide;
  /** Which messages must have 0 in reserved fields: `own` where hostile peers may route to this one; default: `all`. */
  checkZero?: ZeroCheck;
}

/** Sees every message before the inbox does. True: it has handled the message, which does not get into the inbox. */
export type Interceptor = (message: Message) => boolean;

/** A test that waits for a message. */
interface Waiter {
  wants: (message: Message) => boolean;
  what: string;
  resolve: (message: Message) => void;
  reject: (error: Error) => void;
}

/**
 * One TCP connection that speaks DMSG only as the test says: it sends what it is told, checks every received message
 * (CRCs, salts, zero fields), and keeps them in order of arrival. It answers nothing by itself.
 */
export class RawPeer {
  readonly dialect: Dialect;
  readonly name: string;
  readonly socket: Socket;
  /** All received messages, in order. */
  readonly log: Message[] = [];
  /** Received messages that the test has not taken yet. */
  readonly inbox: Message[] = [];
  /** Resolves when the other side has ended the connection (FIN or RST), or we have destroyed it. */
  readonly ended: Promise<'fin' | 'reset'>;
  /** The first error in the bytes of the other side. */
  fault: Error | null = null;
  intercept: Interceptor = () => false;

  /** null: plaintext. */
  readonly crypt: CryptSide | null;
  readonly #reader: MessageReader;
  #waiters: Waiter[] = [];
  #sent = 0;
  #isEnded = false;

  /** Wraps a socket that `RawPeer.connect` has made, or a test's own server has accepted. */
  constructor(
    socket: Socket,
    dialect: Dialect,
    name: string,
    crypt: CryptSide | null = null,
    checkZero: ZeroCheck = 'all',
  ) {
    this.crypt = crypt;
    this.socket = socket;
    this.dialect = dialect;
    this.name = name;
    this.#reader = new MessageReader(dialect, { checkSalt: true, checkZero });
    socket.setNoDelay(true);
    if (crypt !== null) socket.write(crypt.handshake);
    socket.on('data', (chunk) => this.#receive(chunk));
    this.ended = new Promise((resolve) => {
      socket.once('end', () => resolve('fin'));
      socket.on('error', () => resolve('reset'));
      socket.once('close', () => resolve('reset'));
    });
    void this.ended.then((how) => {
      this.#isEnded = true;
      this.#fail(this.fault ?? new Error(`${this.name}: the connection ended (${how})`));
    });
  }

  static connect(options: RawPeerOptions): Promise<RawPeer> {
    const { port, host = '127.0.0.1', dialect, localAddress, name = 'peer', crypt, checkZero } = options;
    const side = crypt === undefined || crypt instanceof CryptSide ? (crypt ?? null) : new CryptSide(crypt);
    return new Promise((resolve, reject) => {
      const socket = tcpConnect({ port, host, localAddress, allowHalfOpen: true });
      socket.once('error', reject);
      // Created before the first byte can come: a listener with a fixed dialect speaks first.
      const peer = new RawPeer(socket, dialect, name, side, checkZero);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(peer);
      });
    });
  }

  /** Whether the other side has ended the connection. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Number of messages sent, which is the salt counter of the next one. */
  get sentCount(): number {
    return this.#sent;
  }

  /** The salt of the next message. Each call counts as a message sent. */
  nextSalt(): number {
    const salt = (0xabcdef00 | (this.#sent & 0xff)) >>> 0;
    this.#sent++;
    return salt;
  }

  send(message: Outgoing): void {
    this.sendBytes(encode(this.dialect, message, this.nextSalt()));
  }

  /** Sends several messages in one write. */
  sendAll(messages: Outgoing[]): void {
    this.sendBytes(Buffer.concat(messages.map((message) => encode(this.dialect, message, this.nextSalt()))));
  }

  /** Sends bytes as they are; the salt counter does not change. */
  sendBytes(bytes: Uint8Array): void {
    if (this.socket.writableEnded || this.socket.destroyed) return;
    this.socket.write(this.crypt === null ? bytes : this.crypt.seal(bytes));
  }

  /** The next message in order of arrival. */
  next(what = 'a message'): Promise<Message> {
    return this.expect(() => true, what);
  }

  /** Resolves with the first message, received or future, for which `wants` is true; takes it out of the inbox. */
  expect(wants: (message: Message) => boolean, what: string): Promise<Message> {
    const at = this.inbox.findIndex(wants);
    if (at >= 0) return Promise.resolve(this.inbox.splice(at, 1)[0]!);
    if (this.fault !== null) return Promise.reject(this.fault);
    if (this.#isEnded) return Promise.reject(new Error(`${this.name}: ended; still waiting for ${what}`));
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const waiter: Waiter = { wants, what, resolve, reject };
    const timer = setTimeout(() => {
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
      reject(
        new Error(`${this.name}: nothing came that is ${what}; inbox: ${this.inbox.map(describeMessage).join('; ')}`),
      );
    }, PATIENCE_MS);
    this.#waiters.push(waiter);
    return promise.finally(() => clearTimeout(timer));
  }

  /** Resolves with the next message that has exactly this command (flags included) and, if given, this msgid. */
  expectCmd(cmd: number, msgid?: bigint): Promise<Message> {
    return this.expect(
      (message) => isCmd(message, cmd) && (msgid === undefined || message.msgid === msgid),
      `cmd ${(cmd >>> 0).toString(16)}${msgid === undefined ? '' : ` msgid ${msgid.toString(16)}`}`,
    );
  }

  /**
   * A round trip. Afterwards the router's connection has read and handled everything sent before, and everything that
   * it had written before has arrived. Circuit: one-way PING. linkid: DBG_SHELL without text.
   */
  async barrier(): Promise<void> {
    if (this.dialect === 'circuit') {
      this.send({ cmd: LNK_PING });
      await this.expect((message) => isCmd(message, LNK_PING | REPLY) && message.msgid === 0n, "a PING's answer");
    } else {
      this.send({ cmd: DBG_SHELL });
      await this.expect((message) => isBarrierAnswer('linkid', message), "an empty DBG_SHELL's answer");
    }
  }

  /** Sends FIN. Bytes that still come are read. */
  end(): void {
    this.socket.end();
  }

  /** Sends RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Closes the connection at once. */
  destroy(): void {
    this.socket.destroy();
  }

  /** Waits for the end of the connection; fails if it does not come. */
  async untilEnded(): Promise<'fin' | 'reset'> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${this.name}: the connection was not ended`)), PATIENCE_MS);
    });
    try {
      const how = await Promise.race([this.ended, late]);
      if (this.fault !== null) throw this.fault;
      return how;
    } finally {
      clearTimeout(timer);
    }
  }

  #receive(chunk: Uint8Array): void {
    if (this.fault !== null) return;
    try {
      const plain = this.crypt === null ? chunk : this.crypt.push(chunk);
      for (const message of this.#reader.push(plain)) this.#deliver(message);
    } catch (error) {
      this.fault = new Error(`${this.name}: ${(error as Error).message}`, { cause: error });
      this.#fail(this.fault);
      this.socket.destroy();
    }
  }

  #deliver(message: Message): void {
    this.log.push(message);
    if (this.intercept(message)) return;
    const waiter = this.#waiters.find(({ wants }) => wants(message));
    if (waiter === undefined) {
      this.inbox.push(message);
      return;
    }
    this.#waiters = this.#waiters.filter((other) => other !== waiter);
    waiter.resolve(message);
  }

  #fail(error: Error): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject, what } of waiters) reject(new Error(`${error.message}; waited for ${what}`, { cause: error }));
  }
}

/** Whether the message is the answer to `RawPeer.barrier()`. */
export function isBarrierAnswer(dialect: Dialect, message: Message): boolean {
  if (message.msgid !== 0n || message.error !== 0 || message.circuit !== 0n) return false;
  return isCmd(message, (dialect === 'circuit' ? LNK_PING : LNK_ERROR) | REPLY);
}
