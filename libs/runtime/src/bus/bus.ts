/** A subscription or a watch. */
export interface Subscription {
  /** Ends the subscription or watch: nothing is delivered after this returns. Calling it again is harmless. */
  unsubscribe(): void;
}

/**
 * Messages between services, and a small shared store. Messages are hints: they may be lost, and no table is built from
 * them (architecture.md "Who owns what"). Bytes that are handed over belong to the bus: neither side changes them
 * afterwards.
 */
export interface Bus {
  /** Sends to the present subscribers; never waits. Throws BusError `closed`, or `invalid` for a bad subject. */
  publish(subject: string, data: Uint8Array): void;
  /**
   * Delivers asynchronously, the messages of each publisher in their order. In the pattern `*` matches one token, a
   * last `>` one or more. Throws BusError `closed` or `invalid`. An exception of `fn` is reported, and does not affect
   * other subscribers.
   */
  subscribe(subject: string, fn: (subject: string, data: Uint8Array) => void): Subscription;
  /** Opens a bucket, and makes it if needed. Everybody on the bus who opens the same bucket gets the same store. */
  kv(bucket: string): Promise<KeyValue>;
  /** Ends all subscriptions and watches; afterwards every other call answers `closed`. */
  close(): Promise<void>;
}

export interface KvEntry {
  readonly key: string;
  /** null: the key was deleted. */
  readonly value: Uint8Array | null;
  /** Rises with every change in the bucket. */
  readonly revision: number;
}

/**
 * A bucket. Every method may reject with BusError `unavailable` (which for a change means: outcome unknown), `closed`,
 * or `invalid` for a key that is not made of A-Z a-z 0-9 - _ = . / or a value above MAX_BUS_BYTES.
 */
export interface KeyValue {
  /** The current value; null when there is none or it was deleted. */
  get(key: string): Promise<KvEntry | null>;
  /** Sets the value whatever it was; returns the new revision. */
  put(key: string, value: Uint8Array): Promise<number>;
  /** Sets the value if there is none (or it was deleted), else `conflict`. */
  create(key: string, value: Uint8Array): Promise<number>;
  /** Compare-and-set: sets the value if the key's last change is `revision`, else `conflict`. */
  update(key: string, value: Uint8Array, revision: number): Promise<number>;
  /** Deletes; with `revision` only if that is the key's last change, else `conflict`. */
  delete(key: string, revision?: number): Promise<void>;
  /** Keys that have a value, in no order. */
  keys(): Promise<string[]>;
  /**
   * Delivers the current values first (no deleted ones), then every change in order; resolves once the current ones are
   * delivered. No change is lost between the two. `key`: only this key is watched, and changes of others are not sent
   * here.
   */
  watch(fn: (entry: KvEntry) => void, key?: string): Promise<Subscription>;
}

/**
 * Why the bus has not done what it was asked for.
 *   conflict     somebody else has changed the key
 *   unavailable  no answer has come, so it is not known whether a change was made
 *   closed       we have closed the bus
 *   invalid      a key, a value or a name that no bus takes
 *   settings     the bucket differs from the settings until an operator changes something: the message says how
 *   damaged      a bucket's file is not as we wrote it; the message completes "the file …"
 */
export type BusErrorCode = 'conflict' | 'unavailable' | 'closed' | 'invalid' | 'settings' | 'damaged';

export class BusError extends Error {
  override readonly name = 'BusError';
  readonly code: BusErrorCode;
  /** With `settings`: the setting that is at fault. */
  readonly setting: string;

  constructor(
    code: BusErrorCode,
    message: string,
    { setting = '', cause }: { setting?: string; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.code = code;
    this.setting = setting;
  }
}

/** Largest message or value, bytes: the default of a NATS server. */
export const MAX_BUS_BYTES = 1024 * 1024;
