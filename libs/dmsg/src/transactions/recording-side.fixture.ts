import { DELETE } from '../command.ts';
import type { DialectRules } from '../dialect.ts';
import type { Frame } from '../wire/frame.ts';
import { FrameReader } from '../wire/framing.ts';
import { keepFrame } from '../wire/kept-frame.ts';
import { encodeMessage, type Id64, type MessageFields } from '../wire/message.ts';
import { OutBuffer } from '../wire/out-buffer.ts';
import { SaltSequence } from '../wire/salt.ts';
import { Endpoint, type EndpointDependencies, type EndpointOptions } from './endpoint.ts';
import type { Transaction, TransactionHandler } from './transaction.ts';

/** A message as tests compare it: `cmd msgid circuit[>target] [error]`, all hexadecimal. */
export function describeFrame(frame: Frame): string {
  const id = (lo: number, hi: number) => ((BigInt(hi) << 32n) | BigInt(lo)).toString(16);
  const target = id(frame.targetLo, frame.targetHi);
  return [
    frame.cmd.toString(16).padStart(8, '0'),
    id(frame.msgidLo, frame.msgidHi),
    id(frame.circuitLo, frame.circuitHi) + (target === '0' ? '' : `>${target}`),
    ...(frame.error === 0 ? [] : [`error ${frame.error.toString(16)}`]),
  ].join(' ');
}

export function idOf(tx: Transaction): Id64 {
  return { lo: tx.msgidLo, hi: tx.msgidHi };
}

/**
 * An endpoint for tests. It records the notifications of its handlers and the messages that it sends, and `hear` gives
 * it any message.
 */
export class RecordingSide {
  readonly rules: DialectRules;
  readonly out = new OutBuffer();
  readonly endpoint: Endpoint;
  /** Every notification: `open|message|lost|gone|oneway WHAT`. */
  readonly log: string[] = [];
  /** Transactions that the peer opened, in order. */
  readonly opened: Transaction[] = [];
  /** How many final notifications (DELETE or loss) each transaction had. */
  readonly finals = new Map<Transaction, number>();
  readonly gone = new Map<Transaction, number>();
  /** Hooks, called after the notification is recorded. */
  onOpen: (tx: Transaction, frame: Frame) => void = () => {};
  onMessage: (tx: Transaction, frame: Frame) => void = () => {};
  onLost: (tx: Transaction, error: number) => void = () => {};
  onGone: (tx: Transaction) => void = () => {};
  onOneWay: (frame: Frame, circuit: Transaction | null) => void = () => {};

  readonly handler: TransactionHandler = {
    onMessage: (tx, frame) => {
      this.log.push(`message ${describeFrame(frame)}`);
      if ((frame.cmd & DELETE) !== 0) this.#final(tx);
      this.onMessage(tx, frame);
    },
    onLost: (tx, error) => {
      this.log.push(`lost ${tx.msgidLo.toString(16)} error ${error.toString(16)}`);
      this.#final(tx);
      this.onLost(tx, error);
    },
    onGone: (tx) => {
      this.gone.set(tx, (this.gone.get(tx) ?? 0) + 1);
      this.onGone(tx);
    },
  };
  /** Reads the bytes that the other side of a pair has sent. */
  readonly reader: FrameReader;
  readonly #ears: FrameReader;

  constructor(options: EndpointOptions, deps: Pick<EndpointDependencies, 'inSlices' | 'sending'> = {}) {
    this.rules = options.rules;
    this.reader = new FrameReader({ rules: options.rules });
    this.#ears = new FrameReader({ rules: options.rules });
    this.endpoint = new Endpoint(options, {
      ...deps,
      out: this.out,
      salts: new SaltSequence({ next: () => 0 }),
      handler: {
        onOpen: (tx, frame) => {
          this.log.push(`open ${describeFrame(frame)}`);
          this.opened.push(tx);
          tx.handler = this.handler;
          if ((frame.cmd & DELETE) !== 0) this.#final(tx);
          this.onOpen(tx, frame);
        },
        onOneWay: (frame, circuit) => {
          this.log.push(`oneway ${describeFrame(frame)}`);
          this.onOneWay(frame, circuit);
        },
      },
    });
  }

  /** Gives the endpoint a message as the peer's. */
  hear(cmd: number, fields: Partial<MessageFields> = {}): void {
    const bytes = encodeMessage({ rules: this.rules, salt: 0, ...fields, cmd: cmd >>> 0 });
    // A new reader for each message: these tests do not care about the sequence of salts.
    new FrameReader({ rules: this.rules }).push(bytes, { onFrame: (frame) => this.endpoint.receive(frame) });
  }

  /** The messages that this side has sent since the last call, checked by a FrameReader. */
  saidFrames(): Frame[] {
    const frames: Frame[] = [];
    for (const slice of this.out.take()) this.#ears.push(slice, { onFrame: (frame) => frames.push(keepFrame(frame)) });
    return frames;
  }

  said(): string[] {
    return this.saidFrames().map(describeFrame);
  }

  /** The notifications since the last call. */
  heard(): string[] {
    return this.log.splice(0);
  }

  #final(tx: Transaction): void {
    this.finals.set(tx, (this.finals.get(tx) ?? 0) + 1);
  }
}

/** Hands everything that `from` has sent to `to`. */
export function carry(from: RecordingSide, to: RecordingSide): void {
  for (const slice of from.out.take()) to.reader.push(slice, { onFrame: (frame) => to.endpoint.receive(frame) });
}
