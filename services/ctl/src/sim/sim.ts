import { formatHostPort, type HostPort } from '@spanmesh/runtime/address';
import { printable } from '../output/printable.ts';
import { count } from '../views/words.ts';
import { type CastOptions, castParts, peerRandom } from './cast.ts';
import { Churn } from './churn.ts';
import { Load } from './load.ts';
import { SimPeer } from './peer.ts';
import { blockBudget, PeerService } from './peer-service.ts';
import { type LoadCounts, Requester } from './requester.ts';
import type { SimKeys } from './sim-keys.ts';

/** Shortest time between two summary lines, in milliseconds. */
const SUMMARY_MS = 1000;

export interface SimOptions extends CastOptions {
  /** Address of the router. */
  readonly connect: HostPort;
  /** Mean time that a span stays open, in milliseconds; 0: for ever. */
  readonly churnMs: number;
  /** Transactions that each peer runs with others, per second; 0: none. */
  readonly load: number;
}

export interface SimDependencies {
  /** Called with a summary line when numbers have changed, at most once a second. */
  readonly onSummary: (line: string) => void;
  /** Called with a line that people may want to know. */
  readonly onNote: (line: string) => void;
  /** The keys of the peers. Default, and null: plaintext. */
  readonly keys?: SimKeys | null;
  /** Monotonic milliseconds. Default: the system's. */
  readonly now?: () => number;
}

/** The numbers of a simulation, now and so far. */
export interface SimTotals {
  /** Peers whose connection is up: LNK_CONNs are open both ways. */
  readonly up: number;
  /** Spans that are offered. */
  readonly spans: number;
  /** Relays that are open to the peers. */
  readonly relays: number;
  /** LNK_SPANs that peers have opened so far. */
  readonly spansOpened: number;
  /** Relays that peers have received so far. */
  readonly relaysSeen: number;
  /** Outcomes of the transactions that peers have run so far; null: they run none. */
  readonly load: Readonly<LoadCounts> | null;
}

/** A number of simulated peers at one router. Call `start` and `stop` once each. */
export class Sim {
  /** Whether any peer has been up. */
  hasBeenUp = false;

  readonly #options: SimOptions;
  readonly #deps: SimDependencies;
  readonly #peers: SimPeer[];
  readonly #churns: Churn[] = [];
  readonly #counts: LoadCounts = { ok: 0, lost: 0, errors: 0 };
  readonly #load: Load | null;
  readonly #down = new Set<SimPeer>();
  #summaryTimer: NodeJS.Timeout | null = null;
  #summary = '';

  constructor(options: SimOptions, deps: SimDependencies) {
    this.#options = options;
    this.#deps = deps;
    const now = deps.now ?? (() => performance.now());
    const parts = castParts(options);
    const budget = blockBudget();
    // Requesters write, and must write only to nodes that are simulated here.
    const nodeIds = new Set(parts.flatMap(({ spans }) => spans.map((span) => span.nodeId)));
    const isTarget = ({ nodeId }: { readonly nodeId: string }): boolean => nodeIds.has(nodeId);
    const requesters: Requester[] = [];
    this.#peers = parts.map((part, i) => {
      const random = peerRandom(options.seed, i);
      const requester = new Requester({ number: i }, { random, now, counts: this.#counts, isTarget });
      requesters.push(requester);
      const peer = new SimPeer(
        { ...part, connect: options.connect },
        {
          random,
          keys: deps.keys ?? null,
          service: new PeerService({ budget, now }),
          ...(options.load > 0 && { requester }),
          events: {
            onUp: (self) => this.#onUp(self),
            onDown: (self, reason) => this.#onDown(self, reason),
          },
        },
      );
      if (options.churnMs > 0) this.#churns.push(new Churn({ meanMs: options.churnMs }, { peer, random }));
      return peer;
    });
    this.#load = options.load > 0 ? new Load({ ratePerPeer: options.load }, { requesters, now }) : null;
  }

  get totals(): SimTotals {
    const load = this.#load === null ? null : { ...this.#counts };
    const totals = { up: 0, spans: 0, relays: 0, spansOpened: 0, relaysSeen: 0, load };
    for (const peer of this.#peers) {
      if (peer.isUp) totals.up++;
      totals.spans += peer.spansOffered;
      totals.relays += peer.relays;
      totals.spansOpened += peer.spansOpened;
      totals.relaysSeen += peer.relaysSeen;
    }
    return totals;
  }

  start(): void {
    this.#summaryTimer = setInterval(() => this.#summarise(), SUMMARY_MS);
    for (const peer of this.#peers) peer.start();
    for (const churn of this.#churns) churn.start();
    this.#load?.start();
  }

  /** Stops every peer in order, and returns the numbers from just before. */
  async stop(): Promise<SimTotals> {
    const totals = this.totals;
    if (this.#summaryTimer !== null) clearInterval(this.#summaryTimer);
    for (const churn of this.#churns) churn.stop();
    this.#load?.stop();
    await Promise.all(this.#peers.map((peer) => peer.stop()));
    return totals;
  }

  #onUp(peer: SimPeer): void {
    this.hasBeenUp = true;
    if (this.#down.delete(peer) && this.#down.size === 0) this.#deps.onNote('all peers are connected again');
  }

  /** Reported once, not once for each peer: mostly all lose the router together. */
  #onDown(peer: SimPeer, reason: string): void {
    if (this.#down.size === 0) {
      const where = formatHostPort(this.#options.connect);
      this.#deps.onNote(`no connection to ${where} (${printable(reason)}); peers try again until there is one`);
    }
    this.#down.add(peer);
  }

  #summarise(): void {
    const line = summaryLine(this.totals, this.#peers.length);
    if (line === this.#summary) return;
    this.#summary = line;
    this.#deps.onSummary(line);
  }
}

/**
 * `20 of 20 peers up, 20 spans offered, 57 relays open, 60 seen`, and with load `; 812 transactions ok, 0 lost, 0
 * errors`.
 */
export function summaryLine({ up, spans, relays, relaysSeen, load }: SimTotals, peers: number): string {
  const now = `${up} of ${count(peers, 'peer')} up, ${count(spans, 'span')} offered, ${count(relays, 'relay')} open`;
  return `${now}, ${relaysSeen} seen${loadText(load)}`;
}

/** `; 812 transactions ok, 0 lost, 0 errors`, or nothing without load. */
export function loadText(load: SimTotals['load']): string {
  if (load === null) return '';
  return `; ${count(load.ok, 'transaction')} ok, ${load.lost} lost, ${count(load.errors, 'error')}`;
}
