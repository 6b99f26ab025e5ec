import { crc32 } from 'node:zlib';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { Random } from '../fuzz/random.ts';
import type { Network } from './network.ts';
import { real } from './platform/globals.ts';

/** Longest turn of a process's event loop, ms: callbacks for the end of the turn run at most this much later. */
const TURN_MS = 0.4;
/** More events in a simulated second than any real work makes: something loops for ever. */
const MOST_PER_SECOND = 150_000;
/** Wall clock when a simulation begins, ms since 1970. */
const WALL_START_MS = 1_700_000_000_000;
/** Most by which the wall clocks of hosts differ at the start (ms), and by which their rates differ. */
const WALL_SKEW_MS = 400;
const DRIFT = 1e-4;

/** Something that happens at a time of the simulation to `owner`; null: to the world. `fn` null: done or cancelled. */
interface Event {
  at: number;
  readonly order: number;
  readonly owner: SimProcess | null;
  fn: (() => void) | null;
}

/** A process of the simulation, or a peer. Its events run with it as `current`; once it is dead they do not run. */
export class SimProcess {
  readonly name: string;
  /** The host of the process. Each process has a host of its own, and a later life of the process has the same one. */
  readonly host: string;
  readonly number: number;
  readonly random: Random;
  /** The clock that is handed to services. */
  readonly clock: Clock;
  isDead = false;
  isPaused = false;
  /** How far its wall clock is off, ms. Its monotonic clock runs at another rate, too. */
  wallOffset: number;
  /** Called once when it dies, for what the kernel of its host does then. */
  readonly onDeath = new Set<(how: 'killed' | 'power') => void>();
  /** Events that came while it was paused. */
  readonly held: Event[] = [];
  readonly #kernel: Kernel;
  readonly #rate: number;
  readonly #startedAt: number;
  #turn: (() => void)[] = [];

  constructor(kernel: Kernel, name: string, host: string, number: number) {
    this.#kernel = kernel;
    this.name = name;
    this.host = host;
    this.number = number;
    this.random = new Random(kernel.seed, 0x1000 + number);
    this.#rate = 1 + ((this.random.below(2001) - 1000) / 1000) * DRIFT;
    this.#startedAt = kernel.now - this.random.below(1_000_000);
    this.wallOffset = this.random.below(2 * WALL_SKEW_MS) - WALL_SKEW_MS;
    this.clock = {
      now: () => this.monotonic(),
      wall: () => this.wall(),
      after: (ms, fn) => kernel.after(this, ms, fn),
    };
  }

  /** A random number in [0, 1), as `Random` of libs/runtime. */
  readonly chance = (): number => this.random.u32() / 2 ** 32;

  monotonic(): number {
    return (this.#kernel.now - this.#startedAt) * this.#rate;
  }

  wall(): number {
    return Math.floor(WALL_START_MS + this.#kernel.now + this.wallOffset);
  }

  /** Milliseconds of the simulation for `ms` milliseconds of this process's clock. */
  own(ms: number): number {
    return ms / this.#rate;
  }

  /** Runs `fn` at the end of this turn of its event loop. The returned timer can cancel that. */
  atTurnsEnd(fn: () => void): Timer {
    let isOff = false;
    if (this.#turn.length === 0) {
      const ms = (this.random.below(1000) / 1000) * TURN_MS;
      this.#kernel.at(this, this.#kernel.now + ms, () => {
        const turn = this.#turn;
        this.#turn = [];
        for (const one of turn) this.#kernel.next(this, one);
      });
    }
    this.#turn.push(() => {
      if (!isOff) fn();
    });
    return {
      cancel: () => {
        isOff = true;
      },
    };
  }

  /** `killed`: its kernel closes its connections. `power`: its host is off, and other hosts are not told. */
  die(how: 'killed' | 'power'): void {
    if (this.isDead) return;
    this.isDead = true;
    this.#kernel.note(`${this.name} ${how}`);
    this.held.length = 0;
    this.#turn = [];
    for (const fn of this.onDeath) fn(how);
    this.onDeath.clear();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    for (const event of this.held.splice(0)) this.#kernel.again(event);
  }
}

/**
 * Virtual time. Events are handled one after the other, each with all promises and ticks that follow from it, in an
 * order that depends on the seed alone.
 */
export class Kernel {
  readonly seed: number;
  /** Milliseconds since the simulation began. */
  now = 0;
  /** The process whose event is being handled; null: an event of the world. */
  current: SimProcess | null = null;
  /** Number of events handled so far. */
  events = 0;
  /** Called with an uncaught exception, and the process that threw it. */
  onThrow: (error: unknown, process: SimProcess | null) => void = () => {};
  /** Receives notes of what happens, for people; null: nobody reads them. */
  log: ((line: string) => void) | null = null;
  network!: Network;
  readonly #random: Random;
  readonly #heap: Event[] = [];
  readonly #ready: Event[] = [];
  #readyAt = 0;
  #order = 0;
  #processes = 0;
  #trace = 0;
  /** Number of the present second, and how many events it had so far. */
  #second = 0;
  #inSecond = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.#random = new Random(seed, 1);
  }

  /** A checksum of everything that has happened: the same for the same seed. */
  get trace(): string {
    return this.#trace.toString(16).padStart(8, '0');
  }

  process(name: string, host: string): SimProcess {
    return new SimProcess(this, name, host, this.#processes++);
  }

  /** The random source of the process that runs now, or of the world. */
  chance(): Random {
    return this.current?.random ?? this.#random;
  }

  wall(): number {
    return this.current?.wall() ?? WALL_START_MS + this.now;
  }

  monotonic(): number {
    return this.current?.monotonic() ?? this.now;
  }

  /**
   * Calls `fn` as an event of `owner`, after `ms` of its clock; like Node's timers, in whole milliseconds and at least
   * one.
   */
  after(owner: SimProcess | null, ms: number, fn: () => void): Timer {
    const wait = ms >= 1 && Number.isFinite(ms) ? Math.trunc(ms) : 1;
    return this.at(owner, this.now + (owner?.own(wait) ?? wait), fn);
  }

  at(owner: SimProcess | null, at: number, fn: () => void): Timer {
    const event: Event = { at: Math.max(at, this.now), order: this.#order++, owner, fn };
    this.#push(event);
    return {
      cancel: () => {
        event.fn = null;
      },
    };
  }

  /** Handles an event that was held back: at the present time, in its old order. */
  again(event: Event): void {
    event.at = this.now;
    this.#push(event);
  }

  /** setImmediate, for the process that runs now. */
  immediate(fn: () => void): Timer {
    const { current } = this;
    if (current !== null) return current.atTurnsEnd(fn);
    return this.at(null, this.now, fn);
  }

  /** Handles `fn` as an event of `owner` at the present time, after those already due. */
  next(owner: SimProcess | null, fn: () => void): void {
    this.#ready.push({ at: this.now, order: this.#order++, owner, fn });
  }

  /** Adds something to the trace that must be the same in each run, such as bytes that arrive. */
  mix(bytes: Uint8Array | string): void {
    this.#trace = crc32(bytes, this.#trace);
  }

  note(line: string): void {
    this.mix(line);
    this.log?.(`${(this.now / 1000).toFixed(4)} ${line}`);
  }

  /** Lets time pass until `isOver` returns true; it is called after every event. */
  run(isOver: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const step = (): void => {
        // Promises and ticks of the last event are over by now: Node runs them before the next immediate.
        this.current = null;
        if (isOver() || !this.#step()) resolve();
        else real.setImmediate(step);
      };
      real.setImmediate(step);
    });
  }

  /** Handles one event. False: there will never be another one. */
  #step(): boolean {
    for (;;) {
      const event = this.#take();
      if (event === undefined) return false;
      const { owner, fn } = event;
      if (fn === null || owner?.isDead === true) continue;
      if (owner?.isPaused === true) {
        this.now = Math.max(this.now, event.at);
        owner.held.push(event);
        continue;
      }
      this.now = Math.max(this.now, event.at);
      this.events++;
      this.#count(owner);
      this.#trace = (Math.imul(this.#trace ^ event.order, 0x9e3779b1) ^ (owner?.number ?? -1)) >>> 0;
      this.current = owner;
      event.fn = null;
      try {
        fn();
      } catch (error) {
        this.onThrow(error, owner);
      }
      return true;
    }
  }

  #count(owner: SimProcess | null): void {
    const second = Math.floor(this.now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#inSecond = 0;
    }
    if (++this.#inSecond === MOST_PER_SECOND)
      this.onThrow(new Error('too much happens: it goes round and round'), owner);
  }

  #take(): Event | undefined {
    if (this.#readyAt < this.#ready.length) {
      const event = this.#ready[this.#readyAt++]!;
      if (this.#readyAt === this.#ready.length) {
        this.#ready.length = 0;
        this.#readyAt = 0;
      }
      return event;
    }
    return this.#pop();
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
