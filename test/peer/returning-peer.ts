import { setTimeout as after } from 'node:timers/promises';
import { LivePeer, type LivePeerOptions } from './live-peer.ts';
import { type SpanFields, testUuid } from './payloads.ts';
import { Asker, Responder } from './routed-traffic.ts';

/** Milliseconds between the loss of a connection and the next attempt. */
const PAUSE_MS = 100;

export interface ReturningPeerOptions extends LivePeerOptions {
  /** Label of its LNK_CONN, different from all others, so that the router recognises the peer when it returns. */
  readonly label: string;
  /** Spans that it offers on each connection. */
  readonly spans: readonly Partial<SpanFields>[];
}

/** Outcomes of the transactions that the peer has opened, on all its connections. */
export interface Outcome {
  done: number;
  /** Transactions that ended before their answer because their route, or the connection, was lost. */
  lost: number;
}

/**
 * A peer that reconnects whenever its connection is lost. On each connection it opens a LNK_CONN and its spans, answers
 * transactions on them, and opens transactions on others' spans. Broken rules in the router's bytes, and wrong answers,
 * are recorded in `faults`.
 */
export class ReturningPeer {
  readonly label: string;
  readonly faults: string[] = [];
  /** Number of connections on which everything was opened. */
  arrivals = 0;
  /** The connection, once everything is opened on it; null: the peer is away. */
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

  /** `nodes`: first number of the nodes of its spans that come and go; no other peer may use them. */
  constructor(options: ReturningPeerOptions, nodes: number) {
    this.label = options.label;
    this.#options = options;
    this.#nodes = nodes;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Closes the connection and does not return. */
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

  /** Number of open transactions on this side. */
  get open(): number {
    return (this.#asker?.open.size ?? 0) + (this.#responder?.hanging ?? 0);
  }

  /**
   * Begins a transaction on relay `n`, modulo the number of relays. Does nothing if one is open or there is no relay.
   */
  ask(n: number): void {
    if (this.live === null || this.#asker === null || this.#asker.open.size > 0) return;
    const relays = this.live.relays().filter(({ span }) => span.nodeLabel.startsWith(STANDING));
    const relay = relays[n % Math.max(1, relays.length)];
    if (relay !== undefined) this.#asker.ask(relay, 3);
  }

  /** Opens a span besides the lasting ones, or closes the one that it opened last. */
  churn(): void {
    const { live } = this;
    if (live === null) return;
    if (this.#passing === null) {
      this.#passing = live.openSpan({ node: testUuid(this.#nodes++), nodeLabel: 'passing' });
      return;
    }
    const passing = this.#passing;
    this.#passing = null;
    // The end of the connection also ends the span, so the answer may never come.
    live.close(passing).catch(() => {});
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#once();
      } catch {
        // Nobody listens, or the process that accepted the connection hangs.
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

/** The labels of lasting spans begin with this. */
export const STANDING = 'standing';
