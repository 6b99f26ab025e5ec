import type { Kernel } from './kernel.ts';
import type { Fault } from './plan.ts';
import { STORE_HOST } from './store.ts';

/** How long after the end of a fault what happens may still be its doing, ms: back-offs, keep-alives and the five seconds of death. */
const AFTER_MS = 15_000;
/** What is shorter leaves a trunk its time to be opened again before the other gateway counts as unreachable (2 s), ms. */
const UNREACHABLE_MS = 1200;
/** What is shorter lets nobody be dead (5 s), ms: detection and attaching anew take their part. */
const DEAD_MS = 3000;
/** What is shorter a trunk's keep-alive (2 s + 2 s) does not even see, ms. */
const PAUSE_MS = 1200;
/** What is shorter leaves volconf its watch of a gateway: what a new leader has not heard in 5 s, it may dial anew, ms. */
const UNHEARD_MS = 1200;

interface Touch {
  readonly fault: Fault;
  /** Hosts at both ends of a way, or the one of a process and null; `*`: everybody. */
  readonly from: string;
  readonly to: string | null;
  readonly since: number;
  /** null: it lasts. */
  until: number | null;
}

/** What has happened to something that nobody would have had to expect. */
export type Harm =
  /** A relay was closed. */
  | 'relay'
  /** A transaction has lost its route. */
  | 'transaction';

/** Hosts of what there is. */
export interface Installed {
  readonly gateways: readonly string[];
  readonly topologies: readonly string[];
  readonly volconfs: readonly string[];
  readonly hasStore: boolean;
}

/** Which faults can have harmed the route between two gateways, now or a short while ago. */
export class Touches {
  readonly #kernel: Kernel;
  readonly #gateways: readonly string[];
  readonly #topologies: ReadonlySet<string>;
  readonly #volconfs: ReadonlySet<string>;
  /** There is a store, and signs of life come by it. */
  readonly #hasStore: boolean;
  #touches: Touch[] = [];
  /** Faults that keep topology from leading, while they last, and until when there were any: what it has to say comes after them. */
  readonly #leaderless = new Set<Fault>();
  #leaderlessUntil = 0;
  /** Until when the store may have forgotten what it was told. */
  #forgetfulUntil = 0;

  constructor(kernel: Kernel, { gateways, topologies, volconfs, hasStore }: Installed) {
    this.#kernel = kernel;
    this.#gateways = gateways;
    this.#topologies = new Set(topologies);
    this.#volconfs = new Set(volconfs);
    this.#hasStore = hasStore;
  }

  begin(fault: Fault, forMs: number, hostOf: (name: string) => string): void {
    const { now: since } = this.#kernel;
    // It touches those whom it has chosen, and them only.
    if (fault.kind === 'drain') return;
    const isOfStore = fault.kind.startsWith('store');
    if (fault.kind === 'store-wiped' || fault.kind === 'store-rolled-back')
      this.#forgetfulUntil = Number.POSITIVE_INFINITY;
    if (isOfStore || ('process' in fault && this.#topologies.has(hostOf(fault.process)))) this.#leaderless.add(fault);
    if (!('process' in fault)) return;
    const from = hostOf(fault.process);
    const to = 'to' in fault ? (fault.to === null ? '*' : hostOf(fault.to)) : null;
    const add = (touch: Pick<Touch, 'to' | 'since'>) => this.#touches.push({ fault, from, until: null, ...touch });
    if (fault.kind === 'unheard') {
      for (const one of this.witnessesOf(from)) add({ to: one, since });
      return;
    }
    add({ to, since });
    if (fault.kind === 'two-step') add({ to: '*', since: since + forMs / 2 });
  }

  /** By whom is seen that a gateway lives. */
  witnessesOf(gateway: string): string[] {
    return [...this.#topologies, ...this.#gateways, STORE_HOST].filter((host) => host !== gateway);
  }

  end(fault: Fault): void {
    const { now } = this.#kernel;
    for (const touch of this.#touches) if (touch.fault === fault) touch.until = now;
    if (this.#leaderless.delete(fault)) this.#leaderlessUntil = now;
  }

  /** Everything is whole again: nothing of what was has effects any more. */
  settled(): void {
    this.#touches = this.#touches.filter(({ until }) => until === null);
    this.#forgetfulUntil = this.#kernel.now;
  }

  /**
   * True if a connection that a gateway has dialled for volconf may have come to an end: the gateway was itself out of order, volconf could
   * not hear it, or the store has forgotten what was to be dialled. That topology has declared the gateway dead is no reason.
   */
  excuseDialled(host: string): boolean {
    const isUnheard = [...this.#volconfs].some((volconf) => this.#ways(host, volconf).some((ms) => ms >= UNHEARD_MS));
    return isUnheard || !this.isSound(host) || this.#kernel.now < this.#forgetfulUntil;
  }

  /** Its process runs, and its peers can reach it. */
  isSound(host: string): boolean {
    return !this.#wasDown(host) && !this.#wasAlone(host);
  }

  /**
   * True if it may have come to this: one of the two gateways was itself out of order for long enough, or the way between them,
   * or one of them showed no life to a topology. Whatever happens to others, to topology or to the store is no reason.
   */
  excuse(harm: Harm, a: string, b: string): boolean {
    return (
      this.#ways(a, b).some((ms) => harm === 'transaction' || ms >= UNREACHABLE_MS) ||
      this.#ways(a, b).length > 1 ||
      [a, b].some((host) => !this.isSound(host) || this.#seemsDead(host))
    );
  }

  /** It was ended, or paused. */
  #wasDown(host: string): boolean {
    return this.#now().some(({ fault: { kind }, from, to, since, until }) => {
      if (from !== host || to !== null || kind === 'jump') return false;
      return kind !== 'pause' || (until ?? this.#kernel.now) - since >= PAUSE_MS;
    });
  }

  /** Nobody could reach it, its peers neither: their connections may be others now. */
  #wasAlone(host: string): boolean {
    return this.#now().some(({ from, to }) => from === host && to === '*');
  }

  /** No topology could hear it, and the store could not either. */
  #seemsDead(host: string): boolean {
    const unheard = [...this.#topologies].some((topology) => this.#ways(host, topology).some((ms) => ms >= DEAD_MS));
    return unheard && (!this.#hasStore || this.#ways(host, STORE_HOST).some((ms) => ms >= DEAD_MS));
  }

  /** How long the way between the two was out of order each time, ms. */
  #ways(a: string, b: string): number[] {
    const ends = (one: string, other: string, { from, to }: Touch) => from === one && (to === other || to === '*');
    return this.#now()
      .filter((touch) => touch.to !== null && (ends(a, b, touch) || ends(b, a, touch)))
      .map(({ since, until }) => (until ?? this.#kernel.now) - since);
  }

  #now(): Touch[] {
    const { now } = this.#kernel;
    const told = this.#leaderless.size > 0 ? now : this.#leaderlessUntil;
    return this.#touches.filter(
      ({ since, until }) => since <= now && (until === null || Math.max(until, told) + AFTER_MS >= now),
    );
  }
}
