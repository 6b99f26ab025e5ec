import { type ConnectionOptions, createInbox, Events, type Msg, type NatsConnection, NatsError } from 'nats';
import type { Clock } from '../../clock.ts';
import { type Logger, Throttle } from '../../log/logger.ts';
import { type Random, systemRandom } from '../../random.ts';
import { BusError, type Subscription } from '../bus.ts';
import { failureOf, type NatsFailure, reason } from './nats-failure.ts';
import { type NatsAddress, NatsServers } from './nats-servers.ts';
import type { NatsServer } from './nats-settings.ts';
import { dialNats } from './nats-transport.ts';

/**
 * Time between the beginnings of two rounds of attempts at all servers, ms: this, and up to as much again at random.
 */
const ROUND_MS = 200;
/** The same trouble is logged once in this time. */
const LOG_INTERVAL_MS = 10_000;

/**
 * away       no server is connected; `since`: when that began
 *   connected  to a server, since that time
 *   closed     for good
 * `since` is on the monotonic clock.
 */
type State =
  | { readonly kind: 'away'; readonly since: number }
  | { readonly kind: 'connected'; readonly since: number; readonly nats: NatsConnection; readonly server: NatsAddress }
  | { readonly kind: 'closed' };

interface Subscribed {
  readonly subject: string;
  readonly fn: (message: Msg) => void;
  end: (() => void) | null;
}

export interface NatsLinkOptions {
  /** The servers that the settings name. */
  readonly servers: readonly NatsServer[];
  /** Options of the library for each connection. */
  readonly connection: ConnectionOptions;
}

export interface NatsLinkDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random?: Random;
  /** Called with the exception of a subscriber. */
  readonly onError: (error: unknown, where: string) => void;
}

/**
 * The link to the NATS servers, kept up for ever, from before the first of them is there. Without a connection,
 * messages are lost and requests fail at once: nothing is stored and sent late. This class makes new connections, not
 * the library, which waits by a clock that may jump.
 */
export class NatsLink {
  /** Times that a connection was lost. */
  losses = 0;
  readonly #connection: ConnectionOptions;
  readonly #deps: NatsLinkDependencies;
  readonly #random: Random;
  readonly #servers: NatsServers;
  readonly #throttle: Throttle;
  readonly #subscribed = new Set<Subscribed>();
  readonly #onConnect = new Set<() => void>();
  readonly #outcomes = new Set<(failure: NatsFailure | null) => void>();
  #state: State;
  /** When the next round may begin, on the monotonic clock. */
  #nextRoundAt = Number.NEGATIVE_INFINITY;

  /** Begins to connect. */
  constructor({ servers, connection }: NatsLinkOptions, deps: NatsLinkDependencies) {
    const { clock, random = systemRandom } = deps;
    this.#connection = connection;
    this.#deps = deps;
    this.#random = random;
    this.#servers = new NatsServers(servers, { random });
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
    this.#state = { kind: 'away', since: clock.now() };
    void this.#connect();
  }

  get connected(): boolean {
    return this.#state.kind === 'connected';
  }

  /** For how long a server has been connected, or none has, ms, independent of the wall clock. */
  get unchangedMs(): number {
    return this.#state.kind === 'closed' ? 0 : this.#deps.clock.now() - this.#state.since;
  }

  /** A new subject, known to nobody else, for answers. */
  inbox(): string {
    return createInbox(this.#connection.inboxPrefix);
  }

  /** The connection for requests. @throws BusError closed, unavailable */
  get nats(): NatsConnection {
    this.checkOpen();
    if (this.#state.kind !== 'connected') throw new BusError('unavailable', 'not connected with NATS');
    return this.#state.nats;
  }

  /** Called each time that a connection is established. */
  onConnect(fn: () => void): Subscription {
    this.#onConnect.add(fn);
    return { unsubscribe: () => this.#onConnect.delete(fn) };
  }

  /** Calls `fn` at the end of each round of attempts to connect: null if one succeeded, otherwise with the failure. */
  onOutcome(fn: (failure: NatsFailure | null) => void): Subscription {
    this.#outcomes.add(fn);
    return { unsubscribe: () => this.#outcomes.delete(fn) };
  }

  /**
   * Publishes a message; without a connection it is lost. @throws BusError closed, invalid: more than the server takes
   */
  publish(subject: string, data: Uint8Array): void {
    this.checkOpen();
    const nats = this.#living();
    if (nats === null) return;
    try {
      nats.publish(subject, data);
    } catch (cause) {
      const code = cause instanceof NatsError && cause.code === 'MAX_PAYLOAD_EXCEEDED' ? 'invalid' : 'unavailable';
      throw new BusError(code, `NATS does not take it: ${(cause as Error).message}`, { cause });
    }
  }

  /** Subscribes, also before there is a connection. @throws BusError closed */
  subscribe(subject: string, fn: (message: Msg) => void): Subscription {
    this.checkOpen();
    const subscribed: Subscribed = { subject, fn, end: null };
    this.#subscribed.add(subscribed);
    const nats = this.#living();
    if (nats !== null) this.#subscribe(nats, subscribed);
    return {
      unsubscribe: () => {
        this.#subscribed.delete(subscribed);
        subscribed.end?.();
        subscribed.end = null;
      },
    };
  }

  checkOpen(): void {
    if (this.#state.kind === 'closed') throw new BusError('closed', 'the bus is closed');
  }

  /** Closes the link once everything published has been sent. */
  async close(): Promise<void> {
    const nats = this.#living();
    this.#become({ kind: 'closed' });
    if (nats === null) return;
    await nats.flush().catch(() => {});
    await nats.close();
  }

  /** The one place where the state changes. */
  #become(state: State): void {
    this.#state = state;
  }

  /** The connection; null also if it has ended before we have been told. */
  #living(): NatsConnection | null {
    return this.#state.kind === 'connected' && !this.#state.nats.isClosed() ? this.#state.nats : null;
  }

  /** Tries all servers, round after round, until one accepts us. */
  async #connect(): Promise<void> {
    const { clock } = this.#deps;
    do {
      // The pace also holds after a connection that was lost as soon as it was established.
      const wait = this.#nextRoundAt - clock.now();
      if (wait > 0) await new Promise<void>((resolve) => clock.after(wait, resolve));
      this.#nextRoundAt = clock.now() + ROUND_MS + this.#random() * ROUND_MS;
    } while (this.#state.kind === 'away' && !(await this.#round()));
  }

  /** One round of attempts at all servers. True: no further round is needed, because we are connected, or closed. */
  async #round(): Promise<boolean> {
    let failure: NatsFailure | null = null;
    for (const server of this.#servers.inRandomOrder()) {
      let nats: NatsConnection;
      try {
        nats = await dialNats(server, this.#connection);
      } catch (error) {
        if (this.#state.kind !== 'away') return true;
        const found = failureOf(error as Error);
        this.#complain({ ...found, server: server.address }, 'NATS cannot be reached; it is tried again');
        // A server that refuses us says more than one that is away.
        if (failure === null || !failure.refused) failure = found;
        continue;
      }
      if (this.#state.kind === 'away') this.#established(nats, server);
      else await nats.close();
      return true;
    }
    for (const fn of [...this.#outcomes]) fn(failure);
    return false;
  }

  #established(nats: NatsConnection, server: NatsAddress): void {
    this.#become({ kind: 'connected', since: this.#deps.clock.now(), nats, server });
    for (const subscribed of this.#subscribed) this.#subscribe(nats, subscribed);
    this.#servers.note(nats.info?.connect_urls ?? [], server);
    void this.#follow(nats, server);
    void nats.closed().then((error) => this.#lost(nats, error));
    this.#deps.logger.info({ server: server.address }, 'connected with NATS');
    for (const fn of [...this.#outcomes]) fn(null);
    for (const fn of [...this.#onConnect]) fn();
  }

  async #follow(nats: NatsConnection, server: NatsAddress): Promise<void> {
    for await (const { type, data, permissionContext } of nats.status()) {
      if (type === Events.Update) this.#servers.note(nats.info?.connect_urls ?? [], server);
      if (type !== Events.Error) continue;
      const about = permissionContext === undefined ? {} : { subject: permissionContext.subject };
      this.#complain({ why: String(data), ...about }, 'trouble with NATS');
    }
  }

  #lost(nats: NatsConnection, error: unknown): void {
    if (this.#state.kind !== 'connected' || this.#state.nats !== nats) return;
    const { server } = this.#state;
    this.#become({ kind: 'away', since: this.#deps.clock.now() });
    this.losses++;
    const why = error instanceof Error ? reason(error) : undefined;
    this.#deps.logger.warn(
      { server: server.address, ...(why !== undefined && { why }) },
      'the connection with NATS is lost; this process goes on without',
    );
    void this.#connect();
  }

  #complain(trouble: { readonly why: string } & Record<string, unknown>, message: string): void {
    const { log, suppressed } = this.#throttle.admit(trouble.why);
    if (log) this.#deps.logger.warn({ ...trouble, suppressed }, message);
  }

  #subscribe(nats: NatsConnection, subscribed: Subscribed): void {
    const subscription = nats.subscribe(subscribed.subject, {
      callback: (error, message) => {
        if (error !== null) {
          this.#complain({ why: reason(error), subject: subscribed.subject }, 'trouble with NATS');
          return;
        }
        if (subscribed.end === null) return;
        try {
          subscribed.fn(message);
        } catch (thrown) {
          this.#deps.onError(thrown, message.subject);
        }
      },
    });
    subscribed.end = () => subscription.unsubscribe();
  }
}
