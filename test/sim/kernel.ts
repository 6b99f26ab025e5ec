import { crc32 } from 'node:zlib';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { Random } from '../fuzz/random.ts';
import type { Network } from './network.ts';
import { real } from './platform/globals.ts';

/** Longest a turn of a process's event loop takes, ms: what it sets for the end of the turn comes so much later at most. */
const TURN_MS = 0.4;
/** More events in a second than any real work makes: something goes round and round. */
const MOST_PER_SECOND = 150_000;
/** Wall clock when a simulation begins, ms since 1970. */
const WALL_START_MS = 1_700_000_000_000;
/** Most that clocks of hosts differ by at the start, and in rate. */
const WALL_SKEW_MS = 400;
const DRIFT = 1e-4;

interface Event {
  at: number;
  readonly order: number;
  readonly owner: SimProcess | null;
  fn: (() => void) | null;
}

/** A process of the simulation, or a peer: what happens to it happens in its name, or not at all once it is dead. */
export class SimProcess {
  readonly name: string;
  /** Where it is: each process has a host of its own, which a later life of it has, too. */
  readonly host: string;
  readonly number: number;
  readonly random: Random;
  /** As services take it. */
  readonly clock: Clock;
  isDead = false;
  isPaused = false;
  /** Wall clock: off by so many ms; monotonic clock: at another rate. */
  wallOffset: number;
  /** Told when it dies, once: what the kernel of its host does then. */
  readonly onDeath = new Set<(how: 'killed' | 'power') => void>();
  /** What would have happened to it while it was paused. */
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

  /** As `Random` of libs/runtime. */
  readonly chance = (): number => this.random.u32() / 2 ** 32;

  monotonic(): number {
    return (this.#kernel.now - this.#startedAt) * this.#rate;
  }

  wall(): number {
    return Math.floor(WALL_START_MS + this.#kernel.now + this.wallOffset);
  }

  /** Real milliseconds for so many of its own. */
  own(ms: number): number {
    return ms / this.#rate;
  }

  /** At the end of this turn of its event loop. Gives how to take it back. */
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

  /** `power`: its host is off as well, and tells nobody. */
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

/** Virtual time: one event after the other, each with everything that it leads to at once, in an order that the seed alone decides. */
export class Kernel {
  readonly seed: number;
  /** Milliseconds since the simulation began. */
  now = 0;
  /** In whose name something happens just now; null: the world's. */
  current: SimProcess | null = null;
  /** Events so far. */
  events = 0;
  /** Called with what was thrown and not caught, and by whom. */
  onThrow: (error: unknown, process: SimProcess | null) => void = () => {};
  /** Notes of what happens, for people; null: nobody listens. */
  log: ((line: string) => void) | null = null;
  network!: Network;
  readonly #random: Random;
  readonly #heap: Event[] = [];
  readonly #ready: Event[] = [];
  #readyAt = 0;
  #order = 0;
  #processes = 0;
  #trace = 0;
  /** The second that is counted, and events in it. */
  #second = 0;
  #inSecond = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.#random = new Random(seed, 1);
  }

  /** What has happened so far, in a number: the same for the same seed. */
  get trace(): string {
    return this.#trace.toString(16).padStart(8, '0');
  }

  process(name: string, host: string): SimProcess {
    return new SimProcess(this, name, host, this.#processes++);
  }

  /** Random numbers of the process that runs now, or of the world. */
  chance(): Random {
    return this.current?.random ?? this.#random;
  }

  wall(): number {
    return this.current?.wall() ?? WALL_START_MS + this.now;
  }

  monotonic(): number {
    return this.current?.monotonic() ?? this.now;
  }

  /** Calls `fn` in a process's name, so many ms of its clock from now: whole ones, at least one, as Node's timers. */
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

  /** What had to wait: now, in the order that it had. */
  again(event: Event): void {
    event.at = this.now;
    this.#push(event);
  }

  /** setImmediate. */
  immediate(fn: () => void): Timer {
    const { current } = this;
    if (current !== null) return current.atTurnsEnd(fn);
    return this.at(null, this.now, fn);
  }

  /** As the next thing that happens, after what was to be next before. */
  next(owner: SimProcess | null, fn: () => void): void {
    this.#ready.push({ at: this.now, order: this.#order++, owner, fn });
  }

  /** Into the trace: bytes that arrive, or anything else that must be the same each time. */
  mix(bytes: Uint8Array | string): void {
    this.#trace = crc32(bytes, this.#trace);
  }

  note(line: string): void {
    this.mix(line);
    this.log?.(`${(this.now / 1000).toFixed(4)} ${line}`);
  }

  /** Lets time pass until `isOver` says so; it is asked after every event. */
  run(isOver: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const step = (): void => {
        // What the last event has led to is over by now: Node does promises and ticks before the next immediate.
        this.current = null;
        if (isOver() || !this.#step()) resolve();
        else real.setImmediate(step);
      };
      real.setImmediate(step);
    });
  }

  /** One event. False: nothing will ever happen again. */
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
