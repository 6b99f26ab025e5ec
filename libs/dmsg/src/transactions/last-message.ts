import type { Frame } from '../wire/frame.ts';
import { keepFrame } from '../wire/kept-frame.ts';
import type { Transaction } from './transaction.ts';
import type { TransactionWriter } from './transaction-writer.ts';

/** Our last message in a transaction, which goes out when what is stacked on that has ended. */
export interface LastMessage {
  /** It goes out now. */
  write(): void;
  /** It has to wait: what it was made of is not there any more when this returns. */
  hold(): void;
  /** It will not go out. */
  drop(): void;
}

/** One of our own. */
export class OwnLastMessage implements LastMessage {
  readonly #writer: TransactionWriter;
  readonly #tx: Transaction;
  readonly #cmd: number;
  readonly #error: number;
  #payload: Uint8Array | null;
  #aux: Uint8Array | null;
  #heldBytes = 0;

  constructor(
    writer: TransactionWriter,
    tx: Transaction,
    cmd: number,
    error: number,
    payload: Uint8Array | null,
    aux: Uint8Array | null,
  ) {
    this.#writer = writer;
    this.#tx = tx;
    this.#cmd = cmd;
    this.#error = error;
    this.#payload = payload;
    this.#aux = aux;
  }

  write(): void {
    this.drop();
    this.#writer.write(this.#tx, this.#cmd, this.#error, this.#payload, this.#aux);
  }

  hold(): void {
    this.#payload = copyOf(this.#payload);
    this.#aux = copyOf(this.#aux);
    this.#heldBytes = (this.#payload?.length ?? 0) + (this.#aux?.length ?? 0);
    if (this.#heldBytes > 0) this.#writer.hold(this.#heldBytes);
  }

  drop(): void {
    if (this.#heldBytes > 0) this.#writer.hold(-this.#heldBytes);
    this.#heldBytes = 0;
  }
}

/** One that is passed on. */
export class PassedLastMessage implements LastMessage {
  readonly #writer: TransactionWriter;
  readonly #tx: Transaction;
  /** Its bytes are given away; otherwise a copy is sent. */
  readonly #isGiven: boolean;
  #frame: Frame;
  #heldBytes = 0;

  constructor(writer: TransactionWriter, tx: Transaction, frame: Frame, isGiven: boolean) {
    this.#writer = writer;
    this.#tx = tx;
    this.#frame = frame;
    this.#isGiven = isGiven;
  }

  write(): void {
    const isOurs = this.#heldBytes > 0;
    this.drop();
    if (this.#isGiven || isOurs) this.#writer.pass(this.#tx, this.#frame);
    else this.#writer.passCopy(this.#tx, this.#frame);
  }

  hold(): void {
    this.#frame = keepFrame(this.#frame);
    this.#heldBytes = this.#frame.buf.length;
    this.#writer.hold(this.#heldBytes);
  }

  drop(): void {
    if (this.#heldBytes > 0) this.#writer.hold(-this.#heldBytes);
    this.#heldBytes = 0;
  }
}

function copyOf(bytes: Uint8Array | null): Uint8Array | null {
  // Not `slice`, which shares the bytes where it is a Buffer's.
  return bytes === null ? null : Buffer.from(bytes);
}
