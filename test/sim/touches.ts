import type { Kernel } from './kernel.ts';
import type { Fault } from './plan.ts';
import { STORE_HOST } from './store.ts';

/**
 * For this long after its end a fault may still have effects, ms: back-offs, keep-alives, and the five seconds after
 * which a process is declared dead.
 */
const AFTER_MS = 15_000;
/**
 * Faults on a way that are shorter than this leave a trunk time to be opened again before the other gateway counts as
 * unreachable (2 s), ms.
 */
const UNREACHABLE_MS = 1200;
/**
 * Faults shorter than this cannot make a gateway count as dead (after 5 s), ms: noticing and attaching anew take some
 * of the 5 s.
 */
const DEAD_MS = 3000;
/** Pauses shorter than this are not noticed by a trunk's keep-alive (2 s + 2 s), ms. */
const PAUSE_MS = 1200;
/**
 * Faults shorter than this do not keep volconf from hearing a gateway in time, ms. A target of a gateway that a new
 * leader has not heard for 5 s may be dialled from another one.
 */
const UNHEARD_MS = 1200;

/** A fault at a host, or on the way between two hosts, and the time for which it lasted. */
interface Touch {
  readonly fault: Fault;
  /** Hosts at both ends of a way; `*`: all others. For a fault of a process: its host, and null. */
  readonly from: string;
  readonly to: string | null;
  readonly since: number;
  /** null: the fault lasts. */
  until: number | null;
}

/** An event that a fault elsewhere must not cause. */
export type Harm =
  /** A relay was closed. */
  | 'relay'
  /** A transaction has lost its route. */
  | 'transaction';

/** Hosts of the installation's processes. */
export interface Installed {
  readonly gateways: readonly string[];
  readonly topologies: readonly string[];
  readonly volconfs: readonly string[];
  readonly hasStore: boolean;
}

/** Decides whether faults, present or recent, can have harmed the route between two gateways. */
export class Touches {
  readonly #kernel: Kernel;
  readonly #gateways: readonly string[];
  readonly #topologies: ReadonlySet<string>;
  readonly #volconfs: ReadonlySet<string>;
  /** Whether there is a store, through which signs of life come. */
  readonly #hasStore: boolean;
  #touches: Touch[] = [];
  /**
   * Present faults that keep topology from leading, and the time at which the last one ended: topology's late commands
   * come after that.
   */
  readonly #leaderless = new Set<Fault>();
  #leaderlessUntil = 0;
  /** Time until which the store may lack what was written to it. */
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
    // A drain affects only the connections that it has chosen.
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

  /** Hosts that notice whether a gateway lives. */
  witnessesOf(gateway: string): string[] {
    return [...this.#topologies, ...this.#gateways, STORE_HOST].filter((host) => host !== gateway);
  }

  end(fault: Fault): void {
    const { now } = this.#kernel;
    for (const touch of this.#touches) if (touch.fault === fault) touch.until = now;
    if (this.#leaderless.delete(fault)) this.#leaderlessUntil = now;
  }

  /** Everything is whole again: past faults have no effects any more. */
  settled(): void {
    this.#touches = this.#touches.filter(({ until }) => until === null);
    this.#forgetfulUntil = this.#kernel.now;
  }

  /**
   * True if a connection that a gateway has dialled for volconf may have ended: the gateway itself was out of order,
   * volconf could not hear it, or the store has forgotten the target. That topology has declared the gateway dead is no
   * excuse.
   */
  excuseDialled(host: string): boolean {
    const isUnheard = [...this.#volconfs].some((volconf) => this.#ways(host, volconf).some((ms) => ms >= UNHEARD_MS));
    return isUnheard || !this.isSound(host) || this.#kernel.now < this.#forgetfulUntil;
  }

  /** Whether the gateway's process runs and its peers can reach it, now and recently. */
  isSound(host: string): boolean {
    return !this.#wasDown(host) && !this.#wasAlone(host);
  }

  /**
   * True if the harm may have happened to the route between the two gateways: one of them was itself out of order for
   * long enough, or the way between them was, or one of them showed no life to any topology. Faults of others, of
   * topology or of the store are no excuse.
   */
  excuse(harm: Harm, a: string, b: string): boolean {
    return (
      this.#ways(a, b).some((ms) => harm === 'transaction' || ms >= UNREACHABLE_MS) ||
      this.#ways(a, b).length > 1 ||
      [a, b].some((host) => !this.isSound(host) || this.#seemsDead(host))
    );
  }

  /** Whether the process was stopped, or paused for long. */
  #wasDown(host: string): boolean {
    return this.#now().some(({ fault: { kind }, from, to, since, until }) => {
      if (from !== host || to !== null || kind === 'jump') return false;
      return kind !== 'pause' || (until ?? this.#kernel.now) - since >= PAUSE_MS;
    });
  }

  /** Whether nobody could reach the host, not even its peers: they may have connected elsewhere. */
  #wasAlone(host: string): boolean {
    return this.#now().some(({ from, to }) => from === host && to === '*');
  }

  /** Whether no topology could hear the gateway, neither directly nor through the store. */
  #seemsDead(host: string): boolean {
    const unheard = [...this.#topologies].some((topology) => this.#ways(host, topology).some((ms) => ms >= DEAD_MS));
    return unheard && (!this.#hasStore || this.#ways(host, STORE_HOST).some((ms) => ms >= DEAD_MS));
  }

  /** The durations of all faults of the way between the two, ms. */
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
