import { LNK_ERROR, LNK_PING } from '@spanmesh/dmsg/command';
import { ErrorCode, errorName } from '@spanmesh/dmsg/error-code';
import type { NodeSelector, RoutedMessage } from '@spanmesh/proto/v1/messaging';
import type { ApiTarget } from '../api/open-client.ts';
import { Failure } from '../failure.ts';
import type { interruption } from '../interruption.ts';
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
  /** Runs something that a signal may end, so that the summary is still printed; default: no signal does. */
  readonly interruptible?: typeof interruption;
}

/** How often a wait is interrupted to see whether it should end, in milliseconds. */
const LOOK_MS = 50;

/** Monotonic milliseconds. */
const now = (): number => performance.now();

/**
 * Sends PINGs to a node over one of its links, prints a line for each answer, and sums up.
 * @throws Failure lost, timeout: nothing has answered
 */
export async function ping(query: PingQuery, terminal: Terminal): Promise<void> {
  const route = await Route.open(query);
  const pings = new Pings();
  const { interruptible = (run) => run(new AbortController().signal) } = query;
  try {
    const { link, dialect } = route.opened;
    await write(terminal.out, `PING ${route.name}: ${dialectName(dialect)}, link ${printable(link)}\n`);
    await interruptible((signal) => sendAll(query, { route, pings, terminal, signal }));
  } catch (error) {
    // If any PING was answered there is a summary, even when the route goes.
    if (pings.answered > 0) await write(terminal.out, pings.summary(route.name));
    throw error;
  } finally {
    route.close();
  }
  await write(terminal.out, pings.summary(route.name));
  if (pings.answered === 0) throw new Failure('timeout', `${route.name} has not answered`);
}

interface Sending {
  readonly route: Route;
  readonly pings: Pings;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

/** Sends PINGs until all have been sent and answered, the time is over, or the signal is aborted. */
async function sendAll({ count, timeoutMs, intervalMs }: PingQuery, { route, pings, terminal, signal }: Sending) {
  for (let n = 1; n <= count && !signal.aborted; n++) {
    pings.send(n, route);
    const isLast = n === count;
    const end = now() + (isLast ? timeoutMs : intervalMs);
    // Whether the PING is answered or not, the next one waits for its time. After the last one only answers are
    // awaited.
    while (now() < end && !signal.aborted && !(isLast && pings.waiting === 0)) {
      const message = await route.next(Math.min(end - now(), LOOK_MS));
      const line = message === null ? null : pings.answer(message);
      if (line !== null) await write(terminal.out, `${line}\n`);
    }
  }
}

/** The PINGs of one command, by the numbers of their transactions. */
class Pings {
  answered = 0;
  #sent = 0;
  readonly #sentAt = new Map<number, number>();
  readonly #times: number[] = [];

  /** PINGs that are neither answered nor lost. */
  get waiting(): number {
    return this.#sentAt.size;
  }

  /** Sends a PING as a transaction of one message (CREATE|DELETE). */
  send(n: number, route: Route): void {
    this.#sent++;
    this.#sentAt.set(n, now());
    route.send({ transaction: n, command: LNK_PING, create: true, delete: true });
  }

  /** The line to print for a message; null: it answers no PING that waits. */
  answer(message: RoutedMessage): string | null {
    const n = this.#numberOf(message);
    const sentAt = n === undefined ? undefined : this.#sentAt.get(n);
    if (n === undefined || sentAt === undefined) return null;
    this.#sentAt.delete(n);
    // This answer comes from the router, not from the node.
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

  /**
   * The number of the PING that a message answers. A one-way message is taken as the answer to the oldest PING, since
   * nothing in it tells which.
   */
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
