import type { InstallationOptions } from '../../settings/installation-setting.ts';
import { type Bus, BusError, type KeyValue, type Subscription } from '../bus.ts';
import { bucketOf, subjectOf, subjectWithin } from '../bus-names.ts';
import { checkBucket, checkPattern, checkSize, checkSubject } from '../bus-subjects.ts';
import type { BucketCopies } from './nats-copies.ts';
import { NatsKeyValue } from './nats-kv.ts';
import { NatsLink, type NatsLinkDependencies } from './nats-link.ts';
import { connectionOptions } from './nats-options.ts';
import type { NatsOptions } from './nats-settings.ts';
import { NatsStream } from './nats-stream.ts';

/**
 * The part of NATS that a service uses; its user there need not be allowed more
 * (deploy/k8s/components/nats-cluster/permissions.conf).
 */
export interface NatsPart {
  /**
   * Prefix of the subjects on which the service gets answers. Each service has its own, because a user who may listen
   * to all inboxes could read the answers to others.
   */
  readonly inboxes: string;
  /** Whether it makes missing buckets; other services wait for them. */
  readonly makesBuckets: boolean;
}

/**
 * The part of NATS that a service uses. A gateway only uses buckets: a user who may make a stream may make one that
 * receives other users' messages.
 */
export function natsPart(service: string, { installation }: InstallationOptions): NatsPart {
  return { inboxes: `_INBOX.${installation}.${service}`, makesBuckets: service !== 'link-gateway' };
}

/**
 * Which servers, and which names on them. `part`: default: all of NATS, as if this were the only installation on it.
 */
export type NatsBusOptions = NatsOptions & InstallationOptions & { readonly part?: NatsPart };

/**
 * The bus of an installation of several processes: core NATS, and a JetStream stream for each bucket. It can be used
 * before it is connected, and while it is not: messages are lost then, and buckets answer `unavailable`. The
 * installation's name is put before every name here, and nowhere else: users of this class cannot reach another
 * installation.
 */
export class NatsBus implements Bus {
  readonly link: NatsLink;
  readonly #installation: string;
  readonly #replicas: number;
  readonly #part: NatsPart | undefined;
  readonly #deps: NatsLinkDependencies;
  readonly #buckets = new Map<string, { stream: NatsStream; kv: NatsKeyValue }>();
  #closed = false;

  /** Begins to connect. @throws SettingError: a file of credentials cannot be read. */
  constructor(options: NatsBusOptions, deps: NatsLinkDependencies) {
    this.#installation = options.installation;
    this.#replicas = options.natsReplicas;
    this.#part = options.part;
    this.#deps = deps;
    const inboxes = options.part === undefined ? {} : { inboxPrefix: options.part.inboxes };
    const connection = { ...connectionOptions(options), ...inboxes };
    this.link = new NatsLink({ servers: options.natsUrl, connection }, deps);
  }

  publish(subject: string, data: Uint8Array): void {
    this.#checkOpen();
    checkSubject(subject);
    checkSize(data);
    this.link.publish(subjectOf(this.#installation, subject), data);
  }

  subscribe(subject: string, fn: (subject: string, data: Uint8Array) => void): Subscription {
    this.#checkOpen();
    checkPattern(subject);
    const installation = this.#installation;
    return this.link.subscribe(subjectOf(installation, subject), (message) =>
      fn(subjectWithin(installation, message.subject), message.data),
    );
  }

  /** Never waits: the bucket itself is opened when it is first used. */
  async kv(bucket: string): Promise<KeyValue> {
    this.#checkOpen();
    return this.#bucket(bucket).kv;
  }

  /** Makes a bucket if it is missing. @throws BusError: settings, unavailable */
  async open(bucket: string): Promise<void> {
    this.#checkOpen();
    await this.#bucket(bucket).stream.open();
  }

  /** The number of copies of each of these buckets. @throws BusError closed */
  async copies(buckets: readonly string[]): Promise<BucketCopies[]> {
    this.#checkOpen();
    return Promise.all(buckets.map((bucket) => this.#bucket(bucket).stream.copies()));
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { kv } of this.#buckets.values()) kv.close();
    await this.link.close();
  }

  #bucket(bucket: string) {
    checkBucket(bucket);
    let found = this.#buckets.get(bucket);
    if (found === undefined) {
      const { clock, onError } = this.#deps;
      const stream = new NatsStream(
        {
          bucket: bucketOf(this.#installation, bucket),
          replicas: this.#replicas,
          isMade: this.#part?.makesBuckets !== false,
        },
        this.link,
      );
      found = { stream, kv: new NatsKeyValue(stream, { link: this.link, clock, onError }) };
      this.#buckets.set(bucket, found);
    }
    return found;
  }

  #checkOpen(): void {
    if (this.#closed) throw new BusError('closed', 'the bus is closed');
  }
}
