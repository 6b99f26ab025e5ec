import { setTimeout as after } from 'node:timers/promises';
import { LivePeer, type LivePeerOptions } from './live-peer.ts';
import { type SpanFields, testUuid } from './payloads.ts';
import { Asker, Responder } from './routed-traffic.ts';

/** Between the loss of a connection and the next attempt, ms. */
const PAUSE_MS = 100;

export interface ReturningPeerOptions extends LivePeerOptions {
  /** Of its LNK_CONN: nobody else's, so that it is known when it returns. */
  readonly label: string;
  /** Spans that it offers each time. */
  readonly spans: readonly Partial<SpanFields>[];
}

/** What came of the transactions that a peer has opened, on all its connections. */
export interface Outcome {
  done: number;
  /** Ended before their answer because their route, or the connection, has gone. */
  lost: number;
}

/**
 * A peer that comes back whenever its connection is lost: it opens a LNK_CONN and its spans, answers on them, and asks on the spans of
 * others. A router's bytes that break a rule, and answers that are not as they must be, are faults.
 */
export class ReturningPeer {
  readonly label: string;
  readonly faults: string[] = [];
  /** Connections so far on which everything was opened. */
  arrivals = 0;
  /** Its connection, once everything has been opened on it; null: it is away. */
  live: LivePeer | null = null;

  readonly #options: ReturningPeerOptions;
  readonly #before: Outcome = { done: 0, lost: 0 };
  #asker: Asker | null = null;
  #responder: Responder | null = null;
  #standing: bigint[] = [];
  #current: LivePeer | null = null;
  #passing: bigint | null = null;
  #nodes: number;
  #isStopped = false;
  #running: Promise<void> = Promise.resolve();

  /** `nodes`: the first number of the nodes of spans that come and go; nobody else's. */
  constructor(options: ReturningPeerOptions, nodes: number) {
    this.label = options.label;
    this.#options = options;
    this.#nodes = nodes;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Hangs up for good. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#current?.raw.end();
    const late = setTimeout(() => this.#current?.raw.destroy(), PAUSE_MS);
    await this.#running;
    clearTimeout(late);
  }

  get outcome(): Outcome {
    const { done, lost } = this.#before;
    return { done: done + (this.#asker?.done ?? 0), lost: lost + (this.#asker?.lost ?? 0) };
  }

  /** Transactions that are open at this end. */
  get open(): number {
    return (this.#asker?.open.size ?? 0) + (this.#responder?.hanging ?? 0);
  }

  /** Begins a transaction on the `n`th relay that it holds, counted round; not if one is open, or there is none. */
  ask(n: number): void {
    if (this.live === null || this.#asker === null || this.#asker.open.size > 0) return;
    const relays = this.live.relays().filter(({ span }) => span.nodeLabel.startsWith(STANDING));
    const relay = relays[n % Math.max(1, relays.length)];
    if (relay !== undefined) this.#asker.ask(relay, 3);
  }

  /** Opens a span beside the lasting ones, or closes the one that is open. */
  churn(): void {
    const { live } = this;
    if (live === null) return;
    if (this.#passing === null) {
      this.#passing = live.openSpan({ node: testUuid(this.#nodes++), nodeLabel: 'passing' });
      return;
    }
    const passing = this.#passing;
    this.#passing = null;
    // The end of the connection ends it, too.
    live.close(passing).catch(() => {});
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#once();
      } catch {
        // Nobody listens, or the process that took the connection hangs.
        this.#current?.raw.destroy();
      }
      const fault = this.#current?.raw.fault;
      if (fault) this.faults.push(`${this.label}: ${fault.message}`);
      this.#gone();
      if (!this.#isStopped) await after(PAUSE_MS);
    }
  }

  async #once(): Promise<void> {
    const { label, spans, ...where } = this.#options;
    const peer = await LivePeer.connect({ ...where, name: label });
    this.#current = peer;
    this.#responder = new Responder(peer);
    await peer.openConn({ label });
    this.#standing = spans.map((span) =>
      peer.openSpan({ ...span, nodeLabel: `${STANDING} ${span.nodeLabel ?? label}` }),
    );
    await peer.barrier();
    this.#asker = new Asker(peer, this.#standing[0]);
    this.live = peer;
    this.arrivals++;
    await peer.raw.ended;
  }

  #gone(): void {
    this.faults.push(...(this.#asker?.faults ?? []));
    Object.assign(this.#before, this.outcome);
    this.live = null;
    this.#asker = null;
    this.#responder = null;
    this.#passing = null;
    this.#current = null;
  }
}

/** Labels of the spans that are offered each time begin with it. */
export const STANDING = 'standing';
