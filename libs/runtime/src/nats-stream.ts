import {
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  NatsError,
  RetentionPolicy,
  StorageType,
} from 'nats';
import { BusError } from './bus.ts';
import type { NatsLink } from './nats-link.ts';

/** How long JetStream may take to answer, ms. */
export const JETSTREAM_MS = 2000;
/** JetStream's numbers of errors (err_code). */
const STREAM_NOT_FOUND = 10059;
const STREAM_EXISTS = 10058;
const REPLICAS_NOT_SUPPORTED = 10074;
const NO_SUITABLE_PEERS = 10005;
export const MESSAGE_NOT_FOUND = 10037;
export const WRONG_LAST_SEQUENCE = 10071;
/** Nobody listens on a subject: there is no JetStream, or no such bucket; nothing has happened. */
const NO_RESPONDERS = '503';

/** The bucket cannot be what the settings say. Its message is for an operator. */
export class BucketError extends BusError {
  constructor(message: string) {
    super('unavailable', message);
  }
}

/** A bucket as JetStream sees it: a stream that keeps the last message of each subject. */
export class NatsStream {
  readonly name: string;
  readonly #bucket: string;
  readonly #replicas: number;
  readonly #link: NatsLink;
  #opening: Promise<void> | null = null;

  constructor({ bucket, replicas }: { bucket: string; replicas: number }, link: NatsLink) {
    this.#bucket = bucket;
    this.name = `KV_${bucket}`;
    this.#replicas = replicas;
    this.#link = link;
  }

  subject(key: string): string {
    return `$KV.${this.#bucket}.${key}`;
  }

  key(subject: string): string {
    return subject.slice(`$KV.${this.#bucket}.`.length);
  }

  /** Makes it if it is not there; once, until it turns out to be gone. @throws BucketError, BusError */
  open(): Promise<void> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = null;
      throw error;
    });
    return this.#opening;
  }

  /** Asks something of JetStream. @throws BusError */
  async ask<T>(call: (apis: { jetstream: JetStreamClient; manager: JetStreamManager }) => Promise<T>): Promise<T> {
    const { nats } = this.#link;
    try {
      // `checkAPI` would ask for the account's limits first, which is one round trip more and may not be allowed.
      const manager = await nats.jetstreamManager({ timeout: JETSTREAM_MS, checkAPI: false });
      return await call({ jetstream: nats.jetstream({ timeout: JETSTREAM_MS }), manager });
    } catch (error) {
      throw this.#translated(error);
    }
  }

  #translated(error: unknown): BusError {
    if (error instanceof BusError) return error;
    const { message } = error as Error;
    if (errorCode(error) === WRONG_LAST_SEQUENCE) return new BusError('conflict', message, { cause: error });
    if (error instanceof NatsError && error.code === 'MAX_PAYLOAD_EXCEEDED') {
      return new BusError('invalid', 'more bytes than the NATS server takes', { cause: error });
    }
    // A store that was wiped: it is made again by the next who needs it.
    const absent = error instanceof NatsError && error.code === NO_RESPONDERS;
    if (absent || errorCode(error) === STREAM_NOT_FOUND) this.#opening = null;
    const why = absent ? 'nobody answers: is JetStream on, and has it a leader?' : message;
    return new BusError('unavailable', `JetStream: ${why}`, { cause: error });
  }

  async #open(): Promise<void> {
    await this.ask(async ({ manager: { streams } }) => {
      for (let attempt = 0; ; attempt++) {
        try {
          this.#check((await streams.info(this.name)).config);
          return;
        } catch (error) {
          if (errorCode(error) !== STREAM_NOT_FOUND) throw error;
        }
        try {
          await streams.add(this.#config());
          return;
        } catch (error) {
          const code = errorCode(error);
          if (code === REPLICAS_NOT_SUPPORTED || code === NO_SUITABLE_PEERS) {
            const why = (error as Error).message;
            throw new BucketError(
              `the NATS servers do not keep ${this.#replicas} copies (${why}): set the number of servers that run JetStream`,
            );
          }
          // Somebody else was faster: see what it made.
          if (code !== STREAM_EXISTS || attempt > 0) throw error;
        }
      }
    });
  }

  #check(config: { num_replicas: number; max_age: number; max_msgs_per_subject: number }): void {
    if (config.num_replicas !== this.#replicas) {
      const how = `nats stream edit ${this.name} --replicas=${this.#replicas}`;
      const has = config.num_replicas;
      throw new BucketError(
        `the bucket ${this.#bucket} has ${has} copies, not ${this.#replicas}: set ${has}, or ${how}`,
      );
    }
    // architecture.md "Lease": what expires makes no event, and a lease that vanishes is a second leader.
    if (config.max_age !== 0 || config.max_msgs_per_subject !== 1) {
      throw new BucketError(`the bucket ${this.#bucket} must have no TTL and a history of 1: remove or change it`);
    }
  }

  /** As `nats kv add` makes it, but that reads are the leader's (no allow_direct): a follower's may be old. */
  #config() {
    return {
      name: this.name,
      subjects: [this.subject('>')],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      max_age: 0,
      max_msgs_per_subject: 1,
      num_replicas: this.#replicas,
      deny_delete: true,
      allow_rollup_hdrs: true,
      allow_direct: false,
    };
  }
}

/** JetStream's number of an error; 0: it is none of its. */
export function errorCode(error: unknown): number {
  return error instanceof NatsError ? (error.api_error?.err_code ?? 0) : 0;
}
