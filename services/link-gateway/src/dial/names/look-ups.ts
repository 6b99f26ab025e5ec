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
  readonly asker: string;
  readonly resolve: (addresses: readonly string[]) => void;
  readonly reject: (error: LinkGatewayError<'look-up'>) => void;
}

/** A name that is asked for: one job for all who ask. */
interface Job {
  readonly name: string;
  readonly waiters: Set<Waiter>;
  /** Number of waiters by asker. Until the job runs, it waits in the queue of each of these askers. */
  readonly askers: Map<string, number>;
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
    const waiter: Waiter = { asker, resolve: waiting.resolve, reject: waiting.reject };
    const giveUp = () => this.#refuse(job, waiter, 'given-up');
    job.waiters.add(waiter);
    job.askers.set(asker, (job.askers.get(asker) ?? 0) + 1);
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
    if (known !== undefined && (known.run !== null || known.askers.has(asker))) return known;
    if (this.#waiting >= MAX_WAITING_LOOK_UPS) this.#makeRoom(asker);
    // Read again after room was made: the name that was dropped for that may be this one.
    const job = this.#jobs.get(name) ?? { name, waiters: new Set(), askers: new Map(), run: null };
    this.#jobs.set(name, job);
    this.#enqueue(job, asker);
    return job;
  }

  #enqueue(job: Job, asker: string): void {
    let queue = this.#queues.get(asker);
    if (queue === undefined) {
      queue = new Set();
      this.#queues.set(asker, queue);
    }
    // The job is added to the queue of each asker: a name must not wait behind the other names of its first asker.
    queue.add(job);
    this.#waiting++;
  }

  /** The job waits for its turn no longer in the queue of this asker; nothing if it does not. */
  #dequeue(job: Job, asker: string): void {
    const queue = this.#queues.get(asker);
    if (queue?.delete(job) !== true) return;
    if (queue.size === 0) this.#queues.delete(asker);
    this.#waiting--;
  }

  /**
   * The waiter gets no addresses. The job ends with its last waiter, and leaves the queue of an asker with its last
   * one.
   */
  #refuse(job: Job, waiter: Waiter, why: 'given-up' | 'too-many'): void {
    if (!job.waiters.delete(waiter)) return;
    waiter.reject(new LinkGatewayError('look-up', { why }));
    const left = (job.askers.get(waiter.asker) ?? 0) - 1;
    if (left > 0) job.askers.set(waiter.asker, left);
    else {
      job.askers.delete(waiter.asker);
      this.#dequeue(job, waiter.asker);
    }
    if (job.waiters.size === 0) this.#drop(job);
  }

  /**
   * Drops the last name of the asker that has most; other askers of that name wait on.
   * @throws LinkGatewayError look-up too-many: this asker itself has most
   */
  #makeRoom(asker: string): void {
    let most = asker;
    for (const [other, queue] of this.#queues) {
      if (queue.size > (this.#queues.get(most)?.size ?? 0)) most = other;
    }
    if (most === asker) throw new LinkGatewayError('look-up', { why: 'too-many' });
    const last = [...(this.#queues.get(most) ?? [])].at(-1);
    if (last === undefined) return;
    for (const waiter of last.waiters) if (waiter.asker === most) this.#refuse(last, waiter, 'too-many');
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
    for (const waiting of job.askers.keys()) this.#dequeue(job, waiting);
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

  /**
   * Nobody waits for the name any more: its place among the running look-ups is free at once, even if the look-up
   * itself goes on for a while.
   */
  #drop(job: Job): void {
    if (this.#jobs.get(job.name) !== job) return;
    this.#jobs.delete(job.name);
    for (const asker of job.askers.keys()) this.#dequeue(job, asker);
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
