import { connect, type Socket } from 'node:net';
import { BASE_MASK } from '@spanmesh/dmsg/command';
import { type Dialect, rulesOf } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import { FrameReader } from '@spanmesh/dmsg/framing';
import { encodeMessage, type Id64 } from '@spanmesh/dmsg/message';
import { decodeShellText } from '@spanmesh/dmsg/payload/dbg-shell';

/** A copy of one message that has come. */
export interface Got {
  readonly cmd: number;
  readonly base: number;
  readonly msgid: Id64;
  readonly circuit: Id64;
  readonly error: number;
  readonly payload: Buffer;
  readonly text: string;
}

/** A message for the peer to send; ids that are left out are 0. */
export interface Say {
  readonly cmd: number;
  readonly msgid?: Id64;
  readonly circuit?: Id64;
  readonly target?: Id64;
  readonly error?: number;
  readonly payload?: Uint8Array;
  readonly aux?: Uint8Array;
}

/** A peer that does only what the test tells it: it answers nothing by itself. */
export class RawPeer {
  readonly socket: Socket;
  readonly got: Got[] = [];
  closed = false;
  readonly #dialect: Dialect;
  #salt = 0;
  #taken = 0;
  #wake: (() => void)[] = [];

  constructor(socket: Socket, dialect: Dialect) {
    this.socket = socket;
    this.#dialect = dialect;
    const reader = new FrameReader({ rules: rulesOf(dialect) });
    socket.on('data', (chunk: Buffer) => {
      reader.push(chunk, { onFrame: (frame) => this.got.push(copyOf(frame)) });
      this.#notify();
    });
    const ended = () => {
      this.closed = true;
      this.#notify();
    };
    socket.on('end', ended);
    socket.on('error', ended);
    socket.on('close', ended);
  }

  /** Connects to a gateway on this host, from another of its addresses if one is given. */
  static async connect(port: number, dialect: Dialect, localAddress?: string): Promise<RawPeer> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, ...(localAddress && { localAddress }) });
    const peer = new RawPeer(socket, dialect);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return peer;
  }

  /** Takes over an accepted socket. */
  static of(socket: Socket, dialect: Dialect): RawPeer {
    return new RawPeer(socket, dialect);
  }

  say(...messages: Say[]): void {
    const parts = messages.map((message) =>
      encodeMessage({ rules: rulesOf(this.#dialect), ...message, salt: this.#salt++ & 0xff }),
    );
    this.socket.write(Buffer.concat(parts));
  }

  raw(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Waits for the next message. */
  async next(): Promise<Got> {
    while (this.got.length <= this.#taken) {
      if (this.closed) throw new Error('the connection has ended');
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    return this.got[this.#taken++]!;
  }

  /** Waits for the next `count` messages, as command words in hexadecimal. */
  async words(count: number): Promise<string[]> {
    const words: string[] = [];
    for (let i = 0; i < count; i++) words.push(word(await this.next()));
    return words;
  }

  async end(): Promise<void> {
    while (!this.closed) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  destroy(): void {
    this.socket.destroy();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const fn of wake) fn();
  }
}

/** A message's command word in hexadecimal, followed by its error if that is not 0. */
export function word({ cmd, error }: Got): string {
  return cmd.toString(16).padStart(8, '0') + (error === 0 ? '' : ` ${error}`);
}

function copyOf(frame: Frame): Got {
  return {
    cmd: frame.cmd,
    base: frame.cmd & BASE_MASK,
    msgid: { lo: frame.msgidLo, hi: frame.msgidHi },
    circuit: { lo: frame.circuitLo, hi: frame.circuitHi },
    error: frame.error,
    payload: Buffer.from(frame.buf.subarray(frame.off + 64, frame.off + frame.headBytes)),
    text: decodeShellText(frame),
  };
}
