import type { KeyValue, Subscription } from '../bus/bus.ts';
import type { Clock, Timer } from '../clock.ts';
import { type Random, randomNonce } from '../random.ts';
import { epochOfClock, isBelievableEpoch, MAX_EPOCH } from './epoch.ts';
import type { LeaseRecord } from './lease-record.ts';
import { LeaseStore, type Stored } from './lease-store.ts';
import { Sightings } from './sightings.ts';

/**
 * State of a contender for a role.
 *   stopped   not started, or stop() was called
 *   standby   another may hold the lease; entered by start(), by stepDown(), and when a read shows that our record was
 *             replaced
 *   leading   our last renewal is recent enough; entered only by a compare-and-set of ours that succeeded
 *   frozen    the record is ours but was not renewed in time (or not yet, or under too low an epoch): command nothing;
 *             entered from leading when the time is up, from standby when a takeover of unknown outcome was ours
 */
export type LeaseState =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'standby'; readonly holder: LeaseHolder | null }
  | { readonly kind: 'leading'; readonly epoch: number }
  | { readonly kind: 'frozen'; readonly epoch: number };

export interface LeaseHolder {
  readonly address: string;
  readonly epoch: number;
}

/** The store is asked this many times in a ttl; an answer may take as long as one such step. */
const STEPS_PER_TTL = 4;
/**
 * Part of the ttl for which a renewal is valid. Since a standby waits a whole ttl, this leaves room for clocks whose
 * rates differ by a fifth: 0.8 / 0.9 < 1 / 1.1.
 */
const VALID_PART = 0.8;

/**
 * One contender for a role, as architecture.md "Lease" describes. Every change is a compare-and-set on a revision that
 * we have seen. So of several writes with unknown outcomes at most one takes effect, and a read shows which. The lease
 * is valid only by a write that is known to have succeeded, counted from before it was sent.
 */
export class Lease {
  readonly #address: string;
  readonly #ttlMs: number;
  readonly #settings: string;
  readonly #store: LeaseStore;
  readonly #others: Sightings;
  readonly #clock: Clock;
  readonly #listeners = new Set<(state: LeaseState) => void>();

  #state: LeaseState = { kind: 'stopped' };
  readonly #nonce: string;
  #started = false;
  #running = false;
  #loop: Promise<void> = Promise.resolve();
  /** The watch of the record; null: there is none. */
  #watch: Promise<Subscription | null> | null = null;
  #wake: (() => void) | null = null;
  #woken = false;
  /** Our own record's revision while leading or frozen. */
  #revision = 0;
  #epoch = 0;
  /**
   * Highest epoch known, from records or raiseEpoch: a takeover goes above it, and our own record's epoch must reach
   * it.
   */
  #floor = 0;
  #highest = 0;
  #validUntil = Number.NEGATIVE_INFINITY;
  /** When our last renewal that succeeded was sent. */
  #renewedAt = Number.NaN;
  /** Number of records that we have written, or tried to. */
  #beats = 0;
  #expiry: Timer | null = null;
  #raises: (() => void)[] = [];
  /** Before this time it does not contend (`stepDown`). */
  #standsFrom = Number.NEGATIVE_INFINITY;
  /** While frozen: the last moment of a valid lease. */
  #frozenSince = Number.NaN;

  /**
   * `address`: where the holder is reached, `host:port`. `ttlMs` should be equal at every contender of a role.
   * `settings`: the values that must be equal at all of them, in at most 256 characters; empty: none.
   */
  constructor(
    { role, address, ttlMs, settings = '' }: { role: string; address: string; ttlMs: number; settings?: string },
    { kv, clock, random }: { kv: KeyValue; clock: Clock; random: Random },
  ) {
    this.#address = address;
    this.#ttlMs = ttlMs;
    this.#settings = settings;
    this.#store = new LeaseStore({ role, answerMs: ttlMs / STEPS_PER_TTL }, { kv, clock });
    this.#others = new Sightings({ ttlMs }, { clock });
    this.#clock = clock;
    this.#nonce = randomNonce(random);
  }

  /** The epoch under which we lead, or led last; 0: we never did. */
  get epoch(): number {
    return this.#epoch;
  }

  get state(): LeaseState {
    return this.#state;
  }

  /** Id of this contender: the nonce in its records. */
  get id(): string {
    return this.#nonce;
  }

  /** The nonce of the last holder that the store showed (or ours); '' if there is none. */
  get holderId(): string {
    return this.#holds() ? this.#nonce : (this.#others.record?.holder ?? '');
  }

  /** Milliseconds since the holder's last known renewal: since ours was sent, or another's was first seen. */
  get ageMs(): number {
    const at = this.#holds() ? this.#renewedAt : (this.#others.since ?? Number.NaN);
    return Number.isNaN(at) ? 0 : this.#clock.now() - at;
  }

  /** Whether commands may be given. It looks at the clock, so it is right even when timers are late. */
  isValid(): boolean {
    return this.#state.kind === 'leading' && this.#epoch >= this.#floor && this.#clock.now() < this.#validUntil;
  }

  /**
   * Since when (monotonic) a lease that we hold has not been valid; null: it is valid, or not ours. Like `isValid` it
   * looks at the clock: a process that was stopped for an hour knows it before its timers do.
   */
  get frozenSince(): number | null {
    if (!this.#holds() || this.isValid()) return null;
    return this.#state.kind === 'frozen' ? this.#frozenSince : Math.min(this.#validUntil, this.#clock.now());
  }

  /** This replica's values of the settings that must be equal at all replicas. */
  get settings(): string {
    return this.#settings;
  }

  /** Settings of the holder, or the last holder, by the record; empty: not given. */
  get holderSettings(): string {
    return this.#holds() ? this.#settings : (this.#others.record?.settings ?? '');
  }

  /**
   * Whether the record's settings differ from ours: then its holder, or the next one, decides differently than we
   * would.
   */
  get settingsDiffer(): boolean {
    const theirs = this.holderSettings;
    return theirs !== '' && this.#settings !== '' && theirs !== this.#settings;
  }

  /** The last holder that the store showed (or ourselves); null if there is none. It may be gone. */
  holder(): LeaseHolder | null {
    switch (this.#state.kind) {
      case 'stopped':
        return null;
      case 'standby':
        return this.#state.holder;
      default:
        return { address: this.#address, epoch: this.#epoch };
    }
  }

  /**
   * Address of another replica that leads; null: none is known, we lead, or the holder is an earlier life of this
   * process.
   */
  leaderElsewhere(): string | null {
    const address = this.holder()?.address ?? '';
    return address === '' || address === this.#address ? null : address;
  }

  /** Called synchronously at every change of state, of the holder and of our epoch. */
  onChange(fn: (state: LeaseState) => void): Subscription {
    this.#listeners.add(fn);
    return { unsubscribe: () => this.#listeners.delete(fn) };
  }

  /**
   * Begins to contend. Once only: the nonce belongs to this life, so that a late write of an earlier life is never
   * taken for ours.
   */
  start(): void {
    if (this.#started) {
      throw new Error('a lease is started once');
    }
    this.#started = true;
    this.#running = true;
    this.#become({ kind: 'standby', holder: null });
    this.#loop = this.#run();
  }

  /**
   * Invalidates the lease at once; then waits for the store's answer to a call under way, and releases the record if it
   * is ours.
   */
  async stop(): Promise<void> {
    if (this.#running) {
      const held = this.#state.kind === 'leading' || this.#state.kind === 'frozen';
      this.#running = false;
      this.#invalidate();
      this.#become({ kind: 'stopped' });
      this.#wakeUp();
      this.#loop = this.#loop.then(() => this.#release(held));
    }
    await this.#loop;
  }

  /**
   * Gives up the lease at once, releases the record as soon as the store takes it, and does not contend for the next
   * `ms`: for a leader that finds that it cannot do its work, where another replica might. In that time it does not
   * take over even if nobody else does.
   */
  stepDown(ms: number): void {
    this.#standsFrom = this.#clock.now() + ms;
    if (!this.#holds()) return;
    this.#invalidate();
    this.#become({ kind: 'standby', holder: null });
    this.#settleRaises();
    this.#wakeUp();
  }

  /**
   * Raises our epoch to at least this (architecture.md "Lease": a leader that hears of a higher epoch, from a gateway
   * that knew an earlier life of the store, takes that epoch + 1 before it commands: the caller passes that epoch + 1).
   * The lease is not valid until the store has the new epoch. Resolves when it has, or when we do not hold the lease
   * any more; it then applies to the next takeover. Rejects with RangeError for an impossible epoch: more than ten
   * years ahead of ours and of the clock.
   */
  raiseEpoch(atLeast: number): Promise<void> {
    const known = Math.max(this.#epoch, this.#highest);
    if (!isBelievableEpoch(atLeast, { known, wallMs: this.#clock.wall() })) {
      return Promise.reject(new RangeError(`epoch ${atLeast} cannot be: this one is ${known}`));
    }
    this.#floor = Math.max(this.#floor, atLeast);
    if (!this.#holds() || this.#epoch >= this.#floor) {
      return Promise.resolve();
    }
    this.#become({ kind: 'frozen', epoch: this.#epoch });
    this.#wakeUp();
    return new Promise((resolve) => this.#raises.push(resolve));
  }

  async #run(): Promise<void> {
    while (this.#running) {
      const began = this.#clock.now();
      this.#woken = false;
      this.#listen();
      await this.#step();
      await this.#pause(began + this.#ttlMs / STEPS_PER_TTL);
    }
    this.#listen();
  }

  /**
   * Watches the record while we are a standby. The holder notices others' writes when it renews, and needs no notice of
   * its own.
   */
  #listen(): void {
    const listens = this.#running && this.#state.kind === 'standby';
    if (listens === (this.#watch !== null)) return;
    if (listens) {
      // Without a watch only hints are missing: the store is polled anyway.
      this.#watch = this.#store.watch((stored) => this.#hint(stored));
      return;
    }
    void this.#watch?.then((watch) => watch?.unsubscribe());
    this.#watch = null;
  }

  /** A change that the watch has shown: for a released or lost record we need not wait for the next read. */
  #hint({ record, isJunk }: Stored): void {
    const isFree = record === null ? !isJunk : record.holder === '';
    if (isFree && this.#state.kind === 'standby') this.#wakeUp();
  }

  async #step(): Promise<void> {
    if (this.#abstains) {
      await this.#giveBack();
    } else if (this.#holds()) {
      await this.#renew();
    } else {
      // What was seen before this read allows no takeover: in a store that was restored meanwhile, the holder's record
      // may have that very revision.
      const isAnswered = await this.#read();
      if (!this.#running || !isAnswered) return;
      if (this.#holds()) await this.#write(Math.max(this.#epoch, this.#floor), this.#revision);
      else if (this.#others.mayTake({ differs: this.settingsDiffer })) await this.#take();
    }
  }

  /** Writes our record over our own last revision; if the outcome is in doubt, reads the record. */
  async #renew(): Promise<void> {
    if (this.#clock.now() >= this.#validUntil) {
      // Our lease ran out: in a store that was wiped meanwhile, our revision may be that of another holder's record.
      await this.#read();
      if (!this.#running || !this.#holds()) {
        return;
      }
    }
    const epoch = Math.max(this.#epoch, this.#floor);
    const revision = this.#revision;
    if (!(await this.#write(epoch, revision)) && this.#running) {
      await this.#read();
      // Something that is no record was written over ours.
      if (this.#running && this.#holds() && this.#revision > revision) await this.#write(epoch, this.#revision);
    }
  }

  get #abstains(): boolean {
    return this.#clock.now() < this.#standsFrom;
  }

  /** Releases the record if it has our nonce, even if a write of unknown outcome has made it. */
  async #giveBack(): Promise<void> {
    await this.#read();
    if (this.#running && this.#revision !== 0) await this.#empty();
  }

  /**
   * An epoch above every known one, and above those of earlier lives that this store does not know, which the clock
   * exceeds.
   */
  #nextEpoch(): number {
    const byClock = epochOfClock(this.#clock.wall());
    const next = Math.max(this.#highest + 1, this.#floor, byClock);
    return next <= MAX_EPOCH ? next : byClock;
  }

  async #take(): Promise<void> {
    if (!(await this.#write(this.#nextEpoch(), this.#others.revision)) && this.#running) await this.#read();
  }

  /**
   * Compare-and-set of our record (`revision` null: there must be none). False: it failed, or its outcome is unknown.
   */
  async #write(epoch: number, revision: number | null): Promise<boolean> {
    const sentAt = this.#clock.now();
    const written = await this.#store.write(
      this.#record({ holder: this.#nonce, address: this.#address, epoch }),
      revision,
    );
    if (written === null) return false;
    this.#noteHeld(written, epoch);
    this.#renewedAt = sentAt;
    if (this.#running && !this.#abstains) {
      this.#setValid(sentAt + VALID_PART * this.#ttlMs);
    }
    return true;
  }

  /** Reads the store and adopts the result. False: it has not answered, which changes nothing. */
  async #read(): Promise<boolean> {
    const stored = await this.#store.read();
    if (stored === null) return false;
    this.#others.answered(stored);
    const { record, revision, isJunk } = stored;
    this.#highest = Math.max(this.#highest, record?.epoch ?? 0);
    if (record !== null && record.holder === this.#nonce) {
      // Ours, by a write of unknown outcome: the next renewal builds on it. A read never makes the lease valid.
      this.#noteHeld(revision, record.epoch);
      if (this.#running && this.#state.kind === 'standby' && !this.#abstains) {
        this.#become({ kind: 'frozen', epoch: this.#epoch });
      }
      return true;
    }
    if (isJunk && this.#holds() && this.#clock.now() < this.#validUntil) {
      // As long as our lease is valid nobody else may take it, so we may overwrite the value.
      this.#revision = revision;
      return true;
    }
    this.#others.note(stored);
    if (this.#running) {
      this.#loseTo(record === null || record.holder === '' ? null : { address: record.address, epoch: record.epoch });
    }
    return true;
  }

  #noteHeld(revision: number, epoch: number): void {
    this.#revision = revision;
    this.#epoch = epoch;
    this.#highest = Math.max(this.#highest, epoch);
    this.#others.isOurs();
  }

  #loseTo(holder: LeaseHolder | null): void {
    this.#invalidate();
    this.#revision = 0;
    const state = this.#state;
    if (
      state.kind !== 'standby' ||
      state.holder?.address !== holder?.address ||
      state.holder?.epoch !== holder?.epoch
    ) {
      this.#become({ kind: 'standby', holder });
    }
    this.#settleRaises();
  }

  #setValid(until: number): void {
    this.#validUntil = until;
    this.#expiry?.cancel();
    this.#expiry = null;
    const left = until - this.#clock.now();
    const valid = left > 0 && this.#epoch >= this.#floor;
    if (left > 0) {
      this.#expiry = this.#clock.after(left, () => this.#become({ kind: 'frozen', epoch: this.#epoch }));
    }
    const kind = valid ? 'leading' : 'frozen';
    if (this.#state.kind !== kind || this.#state.epoch !== this.#epoch) {
      this.#become({ kind, epoch: this.#epoch });
    }
    if (this.#epoch >= this.#floor) {
      this.#settleRaises();
    }
  }

  #invalidate(): void {
    this.#validUntil = Number.NEGATIVE_INFINITY;
    this.#expiry?.cancel();
    this.#expiry = null;
  }

  #settleRaises(): void {
    const raises = this.#raises;
    this.#raises = [];
    for (const resolve of raises) {
      resolve();
    }
  }

  /** Releases the record. Best effort: it would run out anyway. */
  async #release(held: boolean): Promise<void> {
    this.#settleRaises();
    if (!held) {
      // A takeover may have been under way.
      await this.#read();
    }
    for (let attempt = 0; attempt < 2; attempt++) {
      if (this.#revision === 0) {
        return;
      }
      if (await this.#empty()) {
        return;
      }
      await this.#read();
    }
  }

  /**
   * Writes our record without a holder, and with its epoch: the next holder goes above it. False: the outcome is
   * unknown.
   */
  async #empty(): Promise<boolean> {
    const revision = this.#revision;
    this.#revision = 0;
    return (await this.#store.write(this.#record({ holder: '', address: '', epoch: this.#epoch }), revision)) !== null;
  }

  #record(fields: Pick<LeaseRecord, 'holder' | 'address' | 'epoch'>): LeaseRecord {
    return { ...fields, ttl: this.#ttlMs, settings: this.#settings, beat: ++this.#beats };
  }

  #holds(): boolean {
    return this.#state.kind === 'leading' || this.#state.kind === 'frozen';
  }

  #pause(until: number): Promise<void> {
    const left = until - this.#clock.now();
    if (left <= 0 || this.#woken || !this.#running) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const go = (): void => {
        timer.cancel();
        this.#wake = null;
        resolve();
      };
      const timer = this.#clock.after(left, go);
      this.#wake = go;
    });
  }

  #wakeUp(): void {
    this.#woken = true;
    this.#wake?.();
  }

  /** The one place where the state changes. */
  #become(state: LeaseState): void {
    if (state.kind === 'frozen' && this.#state.kind !== 'frozen') {
      const now = this.#clock.now();
      this.#frozenSince = Number.isFinite(this.#validUntil) ? Math.min(now, this.#validUntil) : now;
    }
    this.#state = state;
    for (const fn of this.#listeners) {
      fn(state);
    }
  }
}
