import { DBG_SHELL, DELETE, LNK_ERROR, REPLY } from '@spanmesh/dmsg/command';
import { shellAux } from '@spanmesh/dmsg/payload/dbg-shell';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { Connection } from '../connection/connection.ts';
import { SHELL_PACE_BYTES } from '../limits.ts';

/** End of output in the circuit dialect (protocol.md, "Message"). */
const PROMPT = 'debug> ';

/**
 * Output of one shell command (protocol.md, "Debug shell"): one line a message, as one-way DBG_SHELL|REPLY, or inside
 * the transaction of the command. Writes nothing once the connection or the transaction has ended.
 */
export class ShellOutput {
  readonly #connection: Connection;
  /** The command's transaction; null: the command was one-way. */
  readonly #tx: Transaction | null;
  /** The circuit of a one-way command; null: none. */
  readonly #circuit: Transaction | null;

  constructor(connection: Connection, tx: Transaction | null, circuit: Transaction | null) {
    this.#connection = connection;
    this.#tx = tx;
    this.#circuit = circuit;
  }

  /** The connection or the transaction has ended: nobody reads the output. */
  get gone(): boolean {
    return !this.#connection.isOpen || this.#tx?.txDeleted === true || this.#tx?.ended === true;
  }

  /** Writes one line. `text`: a byte string without its line end. */
  line(text: string): void {
    this.#say(`${text}\n`, 0);
  }

  /** Writes the end of the output. */
  end(): void {
    const { endpoint } = this.#connection;
    if (endpoint === null) return;
    if (endpoint.rules.stacked) this.#say(PROMPT, DELETE);
    else if (this.#tx !== null) endpoint.end(this.#tx);
    else endpoint.oneWay(LNK_ERROR | REPLY);
  }

  /** Resolves when few enough bytes are queued for the peer to write more, or the output is gone. */
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
