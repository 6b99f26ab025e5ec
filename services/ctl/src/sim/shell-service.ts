import { DBG_SHELL, DELETE } from '@spanmesh/dmsg/command';
import type { Frame } from '@spanmesh/dmsg/frame';
import { decodeShellText, shellAux } from '@spanmesh/dmsg/payload/dbg-shell';
import type { LnkSpan } from '@spanmesh/dmsg/payload/lnk-span';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';

/** End of output in the circuit dialect (protocol.md, "Message"). */
const PROMPT = 'debug> ';
/** Characters of an unknown command's word that the answer repeats. */
export const MAX_WORD = 64;

const HELP = [
  'help            Command help',
  'uptime          How long this simulated peer has been running',
  'whoami          Which span this is',
];

export interface ShellServiceDependencies {
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/**
 * The debug shell of a simulated peer (protocol.md, "Debug shell"), over its spans: one command a transaction, answered
 * inside it and ended with DELETE.
 */
export class ShellService {
  readonly #now: () => number;
  readonly #startedAt: number;

  constructor({ now }: ShellServiceDependencies) {
    this.#now = now;
    this.#startedAt = now();
  }

  /** Answers a transaction opened by a DBG_SHELL. */
  onOpen(tx: Transaction, frame: Frame, span: LnkSpan): void {
    const { endpoint } = tx;
    tx.handler = QUIET;
    for (const line of this.#run(decodeShellText(frame), span)) {
      endpoint.send(tx, DBG_SHELL, 0, null, shellAux(`${line}\n`));
    }
    // protocol.md, "Message": how output ends in each dialect.
    if (endpoint.rules.stacked) endpoint.send(tx, DBG_SHELL | DELETE, 0, null, shellAux(PROMPT));
    else endpoint.end(tx);
  }

  #run(text: string, span: LnkSpan): readonly string[] {
    const word = text.split(/[ \t\r\n]+/).find((part) => part !== '');
    switch (word) {
      case undefined:
        return [];
      case 'help':
        return HELP;
      case 'uptime':
        return [`up ${Math.floor((this.#now() - this.#startedAt) / 1000)} s`];
      case 'whoami':
        return [`${span.nodeId} ${span.label}`];
      default:
        return [`Unrecognized command: ${word.slice(0, MAX_WORD)}`];
    }
  }
}

/** The answer ends the transaction, so this handler has nothing to do. */
const QUIET: TransactionHandler = { onMessage() {}, onLost() {} };
