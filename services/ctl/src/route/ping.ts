import { LNK_ERROR, LNK_PING } from '@spanmesh/dmsg/command';
import { ErrorCode, errorName } from '@spanmesh/dmsg/error-code';
import type { NodeSelector, RoutedMessage } from '@spanmesh/proto/v1/messaging';
import type { ApiTarget } from '../api/open-client.ts';
import { Failure } from '../failure.ts';
import { printable } from '../output/printable.ts';
import { type Terminal, write } from '../terminal.ts';
import { dialectName } from '../views/words.ts';
import { messageWords } from './message-words.ts';
import { Route } from './route.ts';

export interface PingQuery extends ApiTarget {
  readonly node: NodeSelector;
  /** Longest wait for the route, and for the last answer, in milliseconds. */
  readonly timeoutMs: number;
  readonly count: number;
  /** Time from one PING to the next, in milliseconds. */
  readonly intervalMs: number;
}

/** Monotonic milliseconds. */
const now = (): number => performance.now();

/**
 * Sends PINGs to a node over one of its links, prints a line for each answer, and sums up.
 * @throws Failure lost, timeout: nothing has answered
 */
export async function ping(query: PingQuery, terminal: Terminal): Promise<void> {
  const route = await Route.open(query);
  const pings = new Pings();
  try {
    const { link, dialect } = route.opened;
    await write(terminal.out, `PING ${route.name}: ${dialectName(dialect)}, link ${printable(link)}\n`);
    for (let n = 1; n <= query.count; n++) {
      pings.send(n, route);
      const isLast = n === query.count;
      const end = now() + (isLast ? query.timeoutMs : query.intervalMs);
      // Answered or not, the next one waits for its time; after the last one there is nothing to wait for but answers.
      while (now() < end && !(isLast && pings.waiting === 0)) {
        const message = await route.next(end - now());
        const line = message === null ? null : pings.answer(message);
        if (line !== null) await write(terminal.out, `${line}\n`);
      }
    }
  } catch (error) {
    // What has been answered is worth a summary even if the route then goes.
    if (pings.answered > 0) await write(terminal.out, pings.summary(route.name));
    throw error;
  } finally {
    route.close();
  }
  await write(terminal.out, pings.summary(route.name));
  if (pings.answered === 0) throw new Failure('timeout', `${route.name} has not answered`);
}

/** The PINGs of one command, by the numbers of their transactions. */
class Pings {
  answered = 0;
  #sent = 0;
  readonly #sentAt = new Map<number, number>();
  readonly #times: number[] = [];

  /** Neither answered nor lost. */
  get waiting(): number {
    return this.#sentAt.size;
  }

  /** A transaction of one message (CREATE|DELETE). */
  send(n: number, route: Route): void {
    this.#sent++;
    this.#sentAt.set(n, now());
    route.send({ transaction: n, command: LNK_PING, create: true, delete: true });
  }

  /** The line for a message; null: it answers nothing that is waited for. */
  answer(message: RoutedMessage): string | null {
    const n = this.#numberOf(message);
    const sentAt = n === undefined ? undefined : this.#sentAt.get(n);
    if (n === undefined || sentAt === undefined) return null;
    this.#sentAt.delete(n);
    // The router's word, not the node's.
    if (message.abort || message.error === ErrorCode.LOSTLINK) return `${n}: lost, ${errorName(message.error)}`;
    const ms = now() - sentAt;
    this.answered++;
    this.#times.push(ms);
    return `${n}: ${messageWords(message)} in ${ms.toFixed(2)} ms${remark(message)}`;
  }

  summary(name: string): string {
    const counts = `${name}: ${this.#sent} sent, ${this.answered} answered`;
    if (this.#times.length === 0) return `${counts}\n`;
    const mean = this.#times.reduce((sum, ms) => sum + ms, 0) / this.#times.length;
    const [min, max] = [Math.min(...this.#times), Math.max(...this.#times)];
    return `${counts}, round trip min/avg/max ${min.toFixed(2)}/${mean.toFixed(2)}/${max.toFixed(2)} ms\n`;
  }

  /** One that a node answers with a one-way message counts for the oldest: there is nothing to tell them apart. */
  #numberOf({ transaction, reply, command }: RoutedMessage): number | undefined {
    if (transaction !== 0) return transaction;
    if (!reply || (command !== LNK_PING && command !== LNK_ERROR)) return undefined;
    return this.#sentAt.keys().next().value;
  }
}

/** protocol.md, "Message": linkid's reference answers PING with NOSUPP. */
function remark({ command, error }: RoutedMessage): string {
  return command === LNK_ERROR && error === ErrorCode.NOSUPP ? ' (it does not know PING, but it lives)' : '';
}
