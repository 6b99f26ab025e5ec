/** Something that goes on until it is ended. */
export interface Subscription {
  /** Ends it: nothing is delivered after this returns. Harmless when repeated. */
  unsubscribe(): void;
}

/**
 * News between services, and a small shared store. Messages are hints: they may be lost, no table is built from them
 * (architecture.md "Who owns what"). Bytes handed over belong to the bus: neither side changes them afterwards.
 */
export interface Bus {
  /** Sends to the subscribers of this moment; never waits. Throws BusError `closed`, or `invalid` for a bad subject. */
  publish(subject: string, data: Uint8Array): void;
  /**
   * Delivers asynchronously, in the order of each publisher. In the pattern `*` matches one token, a last `>` for
   * one or more. Throws BusError `closed` or `invalid`. What `fn` throws is reported and harms no other subscriber.
   */
  subscribe(subject: string, fn: (subject: string, data: Uint8Array) => void): Subscription;
  /** Opens a bucket, making it when needed. The same bucket is the same store for everybody on the bus. */
  kv(bucket: string): Promise<KeyValue>;
  /** Ends all subscriptions and watches; afterwards everything else answers `closed`. */
  close(): Promise<void>;
}

export interface KvEntry {
  readonly key: string;
  /** null: deleted. */
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
  /** Sets the value whatever it was; gives the new revision. */
  put(key: string, value: Uint8Array): Promise<number>;
  /** Sets the value when there is none (or it was deleted), else `conflict`. */
  create(key: string, value: Uint8Array): Promise<number>;
  /** Compare-and-set: sets the value when the key's last change is `revision`, else `conflict`. */
  update(key: string, value: Uint8Array, revision: number): Promise<number>;
  /** Deletes; with `revision` only when that is the key's last change, else `conflict`. */
  delete(key: string, revision?: number): Promise<void>;
  /** Keys that have a value, in no order. */
  keys(): Promise<string[]>;
  /**
   * Current values first (no deleted ones), then every change in order; resolves when the current ones have been
   * delivered. Nothing falls between the two. `key`: of this key only, and nothing of others is sent here.
   */
  watch(fn: (entry: KvEntry) => void, key?: string): Promise<Subscription>;
}

/**
 * Why the bus has not done what it was asked for.
 *   conflict     somebody else has changed the key
 *   unavailable  there is no answer, and what has become of a change is not known
 *   closed       by us
 *   invalid      a key, a value or a name that no bus takes
 *   settings     the bucket will never be what the settings say unless an operator, whom the message tells how, changes something
 *   damaged      a bucket's file is not what was written; the message completes "the file …"
 */
export type BusErrorCode = 'conflict' | 'unavailable' | 'closed' | 'invalid' | 'settings' | 'damaged';

export class BusError extends Error {
  override readonly name = 'BusError';
  readonly code: BusErrorCode;
  /** With `settings`: which one it is about. */
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
