import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { isFailed, LinkGatewayError } from '../../gateway-error.ts';
import {
  LOOK_UP_MS,
  MAX_LOOK_UPS,
  MAX_LOOK_UPS_PER_ASKER,
  MAX_REMEMBERED_MS,
  MAX_REMEMBERED_NAMES,
  MAX_WAITING_LOOK_UPS,
} from './limits.ts';

/** The addresses of a name, best first, at least one; `ttlMs`: how long they may be remembered. */
export interface Found {
  readonly addresses: readonly string[];
  readonly ttlMs: number;
}

/**
 * Looks one name up. Ends when the signal aborts. Rejects with the error of the system or the name server if there is
 * no address.
 */
export type LookUp = (name: string, signal: AbortSignal) => Promise<Found>;

/** Who asks for a name, and until when. */
export interface Asking {
  /** Look-ups are shared out, and take turns, by this name. */
  readonly asker: string;
  /** Aborts when the asker gives up. */
  readonly signal: AbortSignal;
}

/** A call of `resolve` that waits for a name. */
interface Waiter {
  readonly resolve: (addresses: readonly string[]) => void;
  readonly reject: (error: LinkGatewayError<'look-up'>) => void;
}

/** A name that is asked for: one job for all who ask. */
interface Job {
  readonly name: string;
  readonly waiters: Set<Waiter>;
  /** Askers in whose queues the job waits. */
  readonly askers: Set<string>;
  /** The look-up, while it runs; null: the job waits. */
  run: { readonly asker: string; readonly abort: AbortController; readonly deadline: Timer } | null;
}

/** The addresses of a name, good until a time of the monotonic clock, ms. */
interface Remembered {
  readonly addresses: readonly string[];
  readonly until: number;
}

/**
 * Look-ups of names for many askers, none of which can take what others need: a bounded number runs at a time, each
 * asker has a share of them, askers take turns, each name is looked up once for all, and each look-up has a limit of
 * time.
 */
export class LookUps {
  readonly #pinned: (name: string) => readonly string[];
  readonly #lookUp: LookUp;
  readonly #clock: Clock;
  readonly #jobs = new Map<string, Job>();
  /** Names that wait, by asker; the asker whose turn is next comes first. */
  readonly #queues = new Map<string, Set<Job>>();
  /** Look-ups that run, by asker. */
  readonly #running = new Map<string, number>();
  #waiting = 0;
  #runningTotal = 0;
  readonly #remembered = new Map<string, Remembered>();

  /**
   * `pinned`: addresses of a name (in lower case) that needs no look-up; empty: it needs one. Default: no name is
   * pinned.
   */
  constructor({
    pinned = () => [],
    lookUp,
    clock,
  }: {
    readonly pinned?: (name: string) => readonly string[];
    readonly lookUp: LookUp;
    readonly clock: Clock;
  }) {
    this.#pinned = pinned;
    this.#lookUp = lookUp;
    this.#clock = clock;
  }

  /** Look-ups that run. */
  get running(): number {
    return this.#runningTotal;
  }

  /** Entries in the queues of all askers: a name has one for each asker that waits for it. */
  get waiting(): number {
    return this.#waiting;
  }

  /** The addresses of a name, best first. @throws LinkGatewayError look-up */
  async resolve(name: string, { asker, signal }: Asking): Promise<readonly string[]> {
    if (signal.aborted) throw new LinkGatewayError('look-up', { why: 'given-up' });
    const key = name.toLowerCase();
    const pinned = this.#pinned(key);
    if (pinned.length > 0) return pinned;
    const known = this.#remembered.get(key);
    if (known !== undefined && this.#clock.now() < known.until) return known.addresses;
    this.#remembered.delete(key);
    const job = this.#jobFor(key, asker);
    const waiting = Promise.withResolvers<readonly string[]>();
    const waiter: Waiter = waiting;
    const giveUp = () => {
      waiter.reject(new LinkGatewayError('look-up', { why: 'given-up' }));
      job.waiters.delete(waiter);
      if (job.waiters.size === 0) this.#drop(job);
    };
    job.waiters.add(waiter);
    signal.addEventListener('abort', giveUp, { once: true });
    this.#pump();
    try {
      return await waiting.promise;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** @throws LinkGatewayError look-up too-many */
  #jobFor(name: string, asker: string): Job {
    const known = this.#jobs.get(name);
    if (known?.run) return known;
    if (known?.askers.has(asker) !== true && this.#waiting >= MAX_WAITING_LOOK_UPS) this.#makeRoom(asker);
    const job = known ?? { name, waiters: new Set(), askers: new Set(), run: null };
    this.#jobs.set(name, job);
    this.#enqueue(job, asker);
    return job;
  }

  #enqueue(job: Job, asker: string): void {
    if (job.askers.has(asker)) return;
    let queue = this.#queues.get(asker);
    if (queue === undefined) {
      queue = new Set();
      this.#queues.set(asker, queue);
    }
    // In the queue of each asker: a name must not wait behind the other names of the asker that was first.
    queue.add(job);
    job.askers.add(asker);
    this.#waiting++;
  }

  #dequeue(job: Job): void {
    for (const asker of job.askers) {
      const queue = this.#queues.get(asker);
      queue?.delete(job);
      if (queue?.size === 0) this.#queues.delete(asker);
      this.#waiting--;
    }
    job.askers.clear();
  }

  /**
   * Drops the last name of the asker that has most.
   * @throws LinkGatewayError look-up too-many: this asker itself has most
   */
  #makeRoom(asker: string): void {
    let most = asker;
    for (const [other, queue] of this.#queues) {
      if (queue.size > (this.#queues.get(most)?.size ?? 0)) most = other;
    }
    if (most === asker) throw new LinkGatewayError('look-up', { why: 'too-many' });
    const last = [...(this.#queues.get(most) ?? [])].at(-1);
    if (last !== undefined) this.#end(last, new LinkGatewayError('look-up', { why: 'too-many' }));
  }

  #pump(): void {
    for (let next = this.#next(); next !== null; next = this.#next()) this.#start(next.job, next.asker);
  }

  /** The asker whose turn it is, and its next name; null: no look-up may begin. */
  #next(): { readonly job: Job; readonly asker: string } | null {
    if (this.#runningTotal >= MAX_LOOK_UPS) return null;
    for (const [asker, queue] of this.#queues) {
      const [job] = queue;
      if (job === undefined || this.#runningOf(asker) >= MAX_LOOK_UPS_PER_ASKER) continue;
      // An asker that has had its turn goes to the end.
      this.#queues.delete(asker);
      this.#queues.set(asker, queue);
      return { job, asker };
    }
    return null;
  }

  #start(job: Job, asker: string): void {
    this.#dequeue(job);
    const abort = new AbortController();
    const deadline = this.#clock.after(LOOK_UP_MS, () =>
      this.#end(job, new LinkGatewayError('look-up', { why: 'timeout' })),
    );
    job.run = { asker, abort, deadline };
    this.#running.set(asker, this.#runningOf(asker) + 1);
    this.#runningTotal++;
    this.#lookUp(job.name, abort.signal).then(
      (found) => {
        if (this.#jobs.get(job.name) !== job) return;
        this.#remember(job.name, found);
        this.#end(job, found.addresses);
      },
      (cause: unknown) => {
        const isLate = isFailed(cause, 'look-up') && cause.data.why === 'timeout';
        this.#end(job, isLate ? cause : new LinkGatewayError('look-up', { why: 'not-found' }, { cause }));
      },
    );
  }

  #end(job: Job, result: readonly string[] | LinkGatewayError<'look-up'>): void {
    for (const waiter of job.waiters) {
      if (isFailed(result, 'look-up')) waiter.reject(result);
      else waiter.resolve(result);
    }
    job.waiters.clear();
    this.#drop(job);
  }

  /** Nobody waits for the name any more: its place is free at once, even if the look-up goes on for a while. */
  #drop(job: Job): void {
    if (this.#jobs.get(job.name) !== job) return;
    this.#jobs.delete(job.name);
    this.#dequeue(job);
    const { run } = job;
    if (run === null) return;
    run.deadline.cancel();
    run.abort.abort();
    this.#runningTotal--;
    const left = this.#runningOf(run.asker) - 1;
    if (left === 0) this.#running.delete(run.asker);
    else this.#running.set(run.asker, left);
    this.#pump();
  }

  #runningOf(asker: string): number {
    return this.#running.get(asker) ?? 0;
  }

  #remember(name: string, { addresses, ttlMs }: Found): void {
    if (ttlMs <= 0) return;
    if (this.#remembered.size >= MAX_REMEMBERED_NAMES) {
      const [oldest] = this.#remembered.keys();
      if (oldest !== undefined) this.#remembered.delete(oldest);
    }
    this.#remembered.set(name, { addresses, until: this.#clock.now() + Math.min(ttlMs, MAX_REMEMBERED_MS) });
  }
}
