import { DBG_SHELL, DELETE, LNK_ERROR, REPLY } from '@spanmesh/dmsg/command';
import { shellAux } from '@spanmesh/dmsg/payload/dbg-shell';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Connection } from '../connection/connection.ts';
import { SHELL_PACE_BYTES } from '../limits.ts';

/** End of output in the circuit dialect (protocol.md, "Message"). */
const PROMPT = 'debug> ';

/**
 * Output of one shell command (protocol.md, "Debug shell"): a line a message, DBG_SHELL|REPLY one-way, or inside the transaction
 * that the command came as. Says nothing any more once the connection or the transaction has ended.
 */
export class ShellOutput {
  readonly #connection: Connection;
  /** The transaction, null for a one-way command. */
  readonly #tx: Transaction | null;
  /** What a one-way command named as its circuit. */
  readonly #circuit: Transaction | null;

  constructor(connection: Connection, tx: Transaction | null, circuit: Transaction | null) {
    this.#connection = connection;
    this.#tx = tx;
    this.#circuit = circuit;
  }

  /** Nobody listens any more. */
  get gone(): boolean {
    return !this.#connection.isOpen || this.#tx?.txDeleted === true || this.#tx?.ended === true;
  }

  /** One line, without its end; a byte string. */
  line(text: string): void {
    this.#say(`${text}\n`, 0);
  }

  /** There is no more. */
  end(): void {
    const { endpoint } = this.#connection;
    if (endpoint === null) return;
    if (endpoint.rules.stacked) this.#say(PROMPT, DELETE);
    else if (this.#tx !== null) endpoint.end(this.#tx);
    else endpoint.oneWay(LNK_ERROR | REPLY);
  }

  /** Resolves when the peer has read enough for more to be said. */
  async room(): Promise<void> {
    while (!this.gone && this.#connection.queuedBytes > SHELL_PACE_BYTES) {
      await new Promise<void>((resolve) => this.#connection.onceDrained(resolve));
    }
  }

  #say(text: string, last: 0 | typeof DELETE): void {
    const { endpoint } = this.#connection;
    if (endpoint === null) return;
    if (this.#tx !== null) endpoint.send(this.#tx, DBG_SHELL | last, 0, null, shellAux(text));
    else endpoint.oneWay(DBG_SHELL | REPLY, 0, null, shellAux(text), this.#circuit);
  }
}
