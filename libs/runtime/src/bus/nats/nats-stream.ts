import {
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from 'nats';
import { BusError } from '../bus.ts';
import { jetStreamError } from './jetstream-errors.ts';
import { type BucketCopies, copiesThere } from './nats-copies.ts';
import type { NatsLink } from './nats-link.ts';

/** How long JetStream may take to answer, ms. */
export const JETSTREAM_MS = 2000;
/** JetStream's error number: a stream of that name exists, with another configuration. */
const STREAM_EXISTS = 10058;

/** A bucket in JetStream: a stream that keeps the last message of each subject. */
export class NatsStream {
  readonly name: string;
  readonly #bucket: string;
  readonly #replicas: number;
  readonly #isMade: boolean;
  readonly #link: NatsLink;
  #opening: Promise<void> | null = null;

  /**
   * `bucket`: its name on NATS. `isMade`: whether to make it if it is missing; otherwise another service makes it, and
   * this one waits.
   */
  constructor({ bucket, replicas, isMade }: { bucket: string; replicas: number; isMade: boolean }, link: NatsLink) {
    this.#bucket = bucket;
    this.name = `KV_${bucket}`;
    this.#replicas = replicas;
    this.#isMade = isMade;
    this.#link = link;
  }

  subject(key: string): string {
    return `$KV.${this.#bucket}.${key}`;
  }

  key(subject: string): string {
    return subject.slice(`$KV.${this.#bucket}.`.length);
  }

  /** Makes the bucket if it is missing; not again, unless it is found to be gone. @throws BusError */
  open(): Promise<void> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = null;
      throw error;
    });
    return this.#opening;
  }

  /** The number of its copies. */
  async copies(): Promise<BucketCopies> {
    const about = { bucket: this.#bucket, wanted: this.#replicas };
    try {
      const { cluster } = await this.ask(({ manager: { streams } }) => streams.info(this.name));
      return { ...about, there: copiesThere(cluster), trouble: '' };
    } catch (error) {
      return { ...about, there: 0, trouble: (error as Error).message };
    }
  }

  /** Makes a call to JetStream. @throws BusError */
  async ask<T>(call: (apis: { jetstream: JetStreamClient; manager: JetStreamManager }) => Promise<T>): Promise<T> {
    const { nats } = this.#link;
    try {
      // `checkAPI` would first ask for the account's limits: one more round trip, which may not be allowed.
      const manager = await nats.jetstreamManager({ timeout: JETSTREAM_MS, checkAPI: false });
      return await call({ jetstream: nats.jetstream({ timeout: JETSTREAM_MS }), manager });
    } catch (error) {
      throw this.#translated(error);
    }
  }

  #translated(error: unknown): BusError {
    if (error instanceof BusError) return error;
    const { message } = error as Error;
    const { code, meaning, advice, setting } = jetStreamError(error);
    // The store was wiped: the next call makes the bucket again.
    if (meaning === 'no-stream' || code === '503') this.#opening = null;
    const said = advice === '' ? message : `${message}: ${advice}`;
    switch (meaning) {
      case 'conflict':
        return new BusError('conflict', message, { cause: error });
      case 'invalid':
        return new BusError('invalid', 'more bytes than the NATS server takes', { cause: error });
      case 'settings':
        return new BusError('settings', `the bucket ${this.#bucket} cannot be had: ${said}`, { setting, cause: error });
      default:
        return new BusError('unavailable', `JetStream: ${said}`, { cause: error });
    }
  }

  async #open(): Promise<void> {
    await this.ask(async ({ manager: { streams } }) => {
      for (let attempt = 0; ; attempt++) {
        try {
          this.#check((await streams.info(this.name)).config);
          return;
        } catch (error) {
          if (jetStreamError(error).meaning !== 'no-stream' || !this.#isMade) throw error;
        }
        try {
          await streams.add(this.#config());
          return;
        } catch (error) {
          // Another process was faster: look at the stream that it has made.
          if (jetStreamError(error).code !== STREAM_EXISTS || attempt > 0) throw error;
        }
      }
    });
  }

  #check({ num_replicas, max_age, max_msgs_per_subject, subjects, sealed }: StreamConfig): void {
    if (!subjects?.includes(this.subject('>')) || sealed) {
      const why = `there is a stream ${this.name} that is no bucket of ours`;
      throw new BusError('settings', `${why}: remove it, or give the installation another name`, {
        setting: 'SPANMESH_INSTALLATION',
      });
    }
    // architecture.md "Lease": an expired key sends no change, and a lease that vanishes makes a second leader.
    if (max_age !== 0 || max_msgs_per_subject !== 1) {
      const why = `the bucket ${this.#bucket} must have no TTL and a history of 1`;
      throw new BusError('settings', `${why}: remove or change it`, { setting: 'SPANMESH_INSTALLATION' });
    }
    if (num_replicas !== this.#replicas) {
      const how = `nats stream edit ${this.name} --replicas=${this.#replicas}`;
      const why = `the bucket ${this.#bucket} has ${num_replicas} copies, not ${this.#replicas}`;
      throw new BusError('settings', `${why}: set ${num_replicas}, or ${how}`, { setting: 'SPANMESH_NATS_REPLICAS' });
    }
  }

  /**
   * As `nats kv add` makes a stream, but only the leader answers reads (no allow_direct): a follower's answer may be
   * old.
   */
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
