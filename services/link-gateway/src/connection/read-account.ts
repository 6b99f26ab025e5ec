import { DEFAULT_MAX_DEPTH, type Endpoint } from '@spanmesh/dmsg/endpoint';
import type { Reader } from '@spanmesh/dmsg-socket/stream/flow';
import type { Holdings } from '../shares/gateway-shares.ts';
import type { ConnectionDependencies } from './connection-start.ts';

/** What the reads of one connection bring: messages, changes to report, work of the gateway itself, transactions. */
export class ReadAccount {
  readonly #principal: string;
  readonly #holdings: Holdings;
  readonly #deps: Pick<ConnectionDependencies, 'flow' | 'metrics' | 'reads' | 'reports' | 'shares'>;
  /** The counts when the present read began. */
  #messages = 0;
  #reported = 0;
  #handled = 0;
  /** What its endpoint has refused for being stacked too deep, as far as that was noted. */
  #refusedDepth = 0;

  constructor(
    { principal, holdings }: { readonly principal: string; readonly holdings: Holdings },
    deps: Pick<ConnectionDependencies, 'flow' | 'metrics' | 'reads' | 'reports' | 'shares'>,
  ) {
    this.#principal = principal;
    this.#holdings = holdings;
    this.#deps = deps;
  }

  /** A read of `reader` begins. `messages`: how many have come before. */
  begin(reader: Reader, messages: number): void {
    const { metrics, reports, flow } = this.#deps;
    this.#messages = messages;
    this.#reported = reports.reported;
    this.#handled = metrics.handled;
    flow.begin(reader);
  }

  /** The read ends: `reader` is paused for all that its messages were sent into and that is full. */
  end(reader: Reader, bytes: number, now: number): void {
    const { metrics, reads, reports, flow } = this.#deps;
    if (reports.reported !== this.#reported) flow.sentInto(reports);
    if (reads.took(this.#holdings.connection, bytes, metrics.handled - this.#handled, now)) flow.sentInto(reads);
    flow.end(reader);
  }

  /** The read has brought a whole message. `messages`: how many have come so far. */
  hasBrought(messages: number): boolean {
    return messages !== this.#messages;
  }

  /** Notes what the peer has open after the read. */
  note({ peerCount, refusedDepth }: Endpoint): void {
    const { shares } = this.#deps;
    shares.transactions.set(this.#holdings.transactions, peerCount);
    if (refusedDepth === this.#refusedDepth) return;
    this.#refusedDepth = refusedDepth;
    const [limit, held] = [DEFAULT_MAX_DEPTH, DEFAULT_MAX_DEPTH];
    const principal = this.#principal;
    shares.limited({ resource: 'stacked transactions', bound: 'share', principal, held, limit });
  }
}
