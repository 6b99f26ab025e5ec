import { AckPolicy, DeliverPolicy, type Msg, nanos, ReplayPolicy } from 'nats';
import type { Clock, Timer } from '../../clock.ts';
import { BusError, type KvEntry, type Subscription } from '../bus.ts';
import { isDeleted } from './kv-operation.ts';
import type { NatsLink } from './nats-link.ts';
import type { NatsStream } from './nats-stream.ts';

/**
 * How often JetStream confirms a watch, ms, and after how long without a confirmation the watch is begun anew. Most of
 * an idle installation's traffic with NATS is this, and it serves only the case that a server has lost our watch while
 * we are connected with it.
 */
const HEARTBEAT_MS = 1000;
const SILENCE_MS = 2500;
/** How long the current values may take to arrive, ms. */
const START_MS = 5000;
/** How soon a watch that could not be begun anew is tried again, ms. */
const RETRY_MS = 250;
/** JetStream forgets a watcher that is gone after this time, ms. */
const INACTIVE_MS = 10_000;
/** Status of a message that only confirms the watch. */
const CONTROL = 100;

/** The parts of a delivered message's ack subject (JetStream, "Ack subject"). */
interface Delivered {
  readonly streamSequence: number;
  readonly consumerSequence: number;
  readonly pending: number;
}

/** One consumer of JetStream: it lives as long as its server. */
interface Feed {
  name: string;
  readonly subscription: Subscription;
  readonly present: Set<string>;
  sequence: number;
  /** Number of current values; undefined: not known yet. */
  expected: number | undefined;
  drained: boolean;
  complete: boolean;
}

/**
 * A watch that survives whatever can happen to a server. Consumers end with their server, so each time that one falls
 * silent, skips a message or is cut off, a new one lists the current entries, and only changes since then are passed
 * on.
 */
export class NatsWatch {
  readonly #fn: (entry: KvEntry) => void;
  readonly #stream: NatsStream;
  readonly #keys: string;
  readonly #link: NatsLink;
  readonly #clock: Clock;
  readonly #onError: (error: unknown, where: string) => void;
  readonly #onEnd: () => void;
  /** Values passed on last, by key, without deleted keys. */
  readonly #told = new Map<string, { readonly value: Uint8Array; readonly revision: number }>();
  readonly #onConnect: Subscription;
  #feed: Feed | null = null;
  #timer: Timer | null = null;
  #ended = false;
  /** Pending until the first values have been passed on; null after that. */
  #starting: PromiseWithResolvers<void> | null = Promise.withResolvers();

  constructor(
    fn: (entry: KvEntry) => void,
    deps: {
      stream: NatsStream;
      /** The one key that is watched, or `>`. */
      keys: string;
      link: NatsLink;
      clock: Clock;
      onError: (error: unknown, where: string) => void;
      onEnd: () => void;
    },
  ) {
    this.#fn = fn;
    this.#stream = deps.stream;
    this.#keys = deps.keys;
    this.#link = deps.link;
    this.#clock = deps.clock;
    this.#onError = deps.onError;
    this.#onEnd = deps.onEnd;
    this.#onConnect = deps.link.onConnect(() => {
      if (this.#starting === null) this.#again(0);
    });
  }

  /** Resolves when the current values have been passed on. @throws BusError; then the watch has ended. */
  async start(): Promise<void> {
    const starting = this.#starting!;
    const late = this.#clock.after(START_MS, () =>
      starting.reject(new BusError('unavailable', 'NATS has not answered in time')),
    );
    try {
      await Promise.all([this.#begin(), starting.promise]);
    } catch (error) {
      this.end();
      throw error;
    } finally {
      late.cancel();
      this.#starting = null;
    }
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#starting?.reject(new BusError('closed', 'the watch has ended'));
    this.#timer?.cancel();
    this.#onConnect.unsubscribe();
    this.#drop();
    this.#onEnd();
  }

  async #begin(): Promise<void> {
    await this.#stream.open();
    if (this.#ended) return;
    const inbox = this.#link.inbox();
    const feed: Feed = {
      name: '',
      subscription: this.#link.subscribe(inbox, (message) => this.#take(feed, message)),
      present: new Set(),
      sequence: 0,
      expected: undefined,
      drained: false,
      complete: false,
    };
    this.#feed = feed;
    const { name, num_pending } = await this.#stream.ask(({ manager }) =>
      manager.consumers.add(this.#stream.name, {
        deliver_subject: inbox,
        deliver_policy: DeliverPolicy.LastPerSubject,
        filter_subject: this.#stream.subject(this.#keys),
        ack_policy: AckPolicy.None,
        replay_policy: ReplayPolicy.Instant,
        idle_heartbeat: nanos(HEARTBEAT_MS),
        inactive_threshold: nanos(INACTIVE_MS),
        num_replicas: 1,
        mem_storage: true,
      }),
    );
    feed.name = name;
    if (this.#feed !== feed) {
      this.#forget(feed);
      return;
    }
    feed.expected = num_pending;
    this.#arm();
    this.#completeIfDrained(feed);
  }

  #take(feed: Feed, message: Msg): void {
    if (this.#feed !== feed || this.#ended) return;
    if (message.headers?.code === CONTROL) {
      // The confirmation names the last message sent. If that was lost no later message has shown the gap.
      const sent = message.headers.get('Nats-Last-Consumer');
      if (sent !== '' && Number(sent) !== feed.sequence) this.#again(0);
      else this.#arm();
      return;
    }
    const delivered = parseAckSubject(message.reply ?? '');
    if (delivered === null) return;
    if (delivered.consumerSequence !== feed.sequence + 1) {
      this.#again(0);
      return;
    }
    feed.sequence++;
    this.#arm();
    this.#tell(feed, this.#stream.key(message.subject), message, delivered.streamSequence);
    if (delivered.pending === 0) feed.drained = true;
    this.#completeIfDrained(feed);
  }

  #tell(feed: Feed, key: string, { headers, data }: Msg, revision: number): void {
    const told = this.#told.get(key);
    if (isDeleted(headers)) {
      // The key's value was never passed on, so its deletion is no change for the watcher.
      feed.present.delete(key);
      if (this.#told.delete(key)) this.#call({ key, value: null, revision });
      return;
    }
    feed.present.add(key);
    // A new feed begins with entries that are known already. In a store that was wiped, the same revision may be
    // another change.
    if (told !== undefined && told.revision === revision && Buffer.compare(told.value, data) === 0) return;
    this.#told.set(key, { value: data, revision });
    this.#call({ key, value: data, revision });
  }

  #completeIfDrained(feed: Feed): void {
    if (feed.complete || feed.expected === undefined) return;
    if (!feed.drained && feed.sequence < feed.expected) return;
    feed.complete = true;
    for (const [key, { revision }] of [...this.#told]) {
      if (feed.present.has(key)) continue;
      this.#told.delete(key);
      this.#call({ key, value: null, revision });
    }
    feed.present.clear();
    this.#starting?.resolve();
  }

  #call(entry: KvEntry): void {
    if (this.#ended) return;
    try {
      this.#fn(entry);
    } catch (error) {
      this.#onError(error, entry.key);
    }
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(SILENCE_MS, () => this.#again(0));
  }

  /** Begins anew, for ever. Until the watch has begun once, the caller of `start` gets the error instead. */
  #again(afterMs: number): void {
    if (this.#ended) return;
    this.#drop();
    this.#timer?.cancel();
    if (this.#starting !== null) {
      this.#starting.reject(new BusError('unavailable', 'NATS has lost its place'));
      return;
    }
    this.#timer = this.#clock.after(afterMs, () => {
      this.#begin().catch(() => this.#again(RETRY_MS));
    });
  }

  #drop(): void {
    const feed = this.#feed;
    this.#feed = null;
    if (feed !== null) this.#forget(feed);
  }

  #forget(feed: Feed): void {
    feed.subscription.unsubscribe();
    const { name } = feed;
    feed.name = '';
    if (name === '' || !this.#link.connected) return;
    // Best effort: JetStream would forget the consumer anyway.
    this.#stream.ask(({ manager }) => manager.consumers.delete(this.#stream.name, name)).catch(() => {});
  }
}

/**
 * `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, or with domain and account
 * before.
 */
export function parseAckSubject(reply: string): Delivered | null {
  const tokens = reply.split('.');
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK' || tokens.length < 9) return null;
  const at = tokens.length === 9 ? 5 : 7;
  const [streamSequence = 0, consumerSequence = 0, , pending = 0] = tokens.slice(at).map(Number);
  return { streamSequence, consumerSequence, pending };
}
