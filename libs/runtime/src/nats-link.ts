import { type ConnectionOptions, connect, Events, type Msg, type NatsConnection, NatsError } from 'nats';
import { BusError, type Subscription } from './bus.ts';
import type { Clock } from './clock.ts';
import { type Logger, Throttle } from './logger.ts';

/** Pause before the first connection is tried again, ms. */
const FIRST_RETRY_MS = 500;
/** The same trouble is logged once in this time. */
const LOG_INTERVAL_MS = 10_000;
/** What the library calls a login that was refused. */
const REFUSED = new Set([
  'AUTHORIZATION_VIOLATION',
  'AUTHENTICATION_EXPIRED',
  'PERMISSIONS_VIOLATION',
  // What the files hold is not what they should.
  'BAD_CREDS',
  'BAD_AUTHENTICATION',
]);

/** What Node calls a server whose certificate will not do, however often it is tried. */
const NOT_TRUSTED =
  /CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|HOSTNAME_MISMATCH|ALTNAME_INVALID|unable to verify|self.signed certificate/i;
/** What an operator can do about it, by what the library says. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    NOT_TRUSTED,
    'SPANMESH_NATS_TLS_CA must be the CA that has signed the certificate of the servers, which must name their host',
  ],
  [
    /^(AUTH|BAD_|PERMISSIONS)|Authorization/i,
    'look at SPANMESH_NATS_USER and _PASSWORD, _TOKEN, _NKEY_FILE, _CREDS_FILE or _TLS_CERT',
  ],
  [/CONNECTION_REFUSED|ECONNREFUSED/, 'nobody listens there: is the server up, and SPANMESH_NATS_URL right?'],
  [/ENOTFOUND|EAI_AGAIN/, 'there is no such host: look at SPANMESH_NATS_URL'],
  [
    /TIMEOUT|DISCONNECT|ECONNRESET|CONNECTION_CLOSED|socket hang up/i,
    'no NATS server, or one that asks for TLS (tls://) or for a certificate that it knows (SPANMESH_NATS_TLS_CERT and _KEY)',
  ],
];

/** How an attempt to connect for the first time has ended; null: connected. */
export interface NatsFailure {
  readonly why: string;
  /** What to do about it; empty: nothing is known. */
  readonly advice: string;
  /** Will not change by itself: the server does not let us in as who we say we are, or is not whom we want. */
  readonly refused: boolean;
}

interface Subscribed {
  readonly subject: string;
  readonly fn: (message: Msg) => void;
  end: (() => void) | null;
}

export interface NatsLinkDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Hears of what a subscriber threw. */
  readonly onError: (error: unknown, where: string) => void;
}

/**
 * The way to the NATS servers, kept for ever, from before the first of them is there. What is published without a connection
 * is lost, and who needs an answer is told at once: nothing is kept to be sent late.
 */
export class NatsLink {
  /** Times that a connection was lost. */
  losses = 0;
  readonly #options: ConnectionOptions;
  readonly #deps: NatsLinkDependencies;
  readonly #throttle: Throttle;
  readonly #subscribed = new Set<Subscribed>();
  readonly #onConnect = new Set<() => void>();
  readonly #outcomes = new Set<(failure: NatsFailure | null) => void>();
  #nats: NatsConnection | null = null;
  #connected = false;
  #closed = false;

  constructor(options: ConnectionOptions, deps: NatsLinkDependencies) {
    this.#options = options;
    this.#deps = deps;
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock: deps.clock });
    void this.#connect();
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** The connection to ask something of now. @throws BusError closed, unavailable */
  get nats(): NatsConnection {
    this.checkOpen();
    if (!this.#connected) throw new BusError('unavailable', 'not connected with NATS');
    return this.#nats!;
  }

  /** Called each time that a connection stands. */
  onConnect(fn: () => void): Subscription {
    this.#onConnect.add(fn);
    return { unsubscribe: () => this.#onConnect.delete(fn) };
  }

  /** How the attempts to connect for the first time end, one call each. */
  onOutcome(fn: (failure: NatsFailure | null) => void): Subscription {
    this.#outcomes.add(fn);
    return { unsubscribe: () => this.#outcomes.delete(fn) };
  }

  /** Lost without a connection. @throws BusError closed, invalid: more than the server takes */
  publish(subject: string, data: Uint8Array): void {
    this.checkOpen();
    if (!this.#connected) return;
    try {
      this.#nats!.publish(subject, data);
    } catch (cause) {
      const code = cause instanceof NatsError && cause.code === 'MAX_PAYLOAD_EXCEEDED' ? 'invalid' : 'unavailable';
      throw new BusError(code, `NATS does not take it: ${(cause as Error).message}`, { cause });
    }
  }

  /** Also before there is a connection. @throws BusError closed */
  subscribe(subject: string, fn: (message: Msg) => void): Subscription {
    this.checkOpen();
    const subscribed: Subscribed = { subject, fn, end: null };
    this.#subscribed.add(subscribed);
    if (this.#nats !== null) this.#subscribe(this.#nats, subscribed);
    return {
      unsubscribe: () => {
        this.#subscribed.delete(subscribed);
        subscribed.end?.();
        subscribed.end = null;
      },
    };
  }

  checkOpen(): void {
    if (this.#closed) throw new BusError('closed', 'the bus is closed');
  }

  /** What was published goes out. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const nats = this.#nats;
    if (nats === null || nats.isClosed()) return;
    if (this.#connected) await nats.flush().catch(() => {});
    await nats.close();
  }

  async #connect(): Promise<void> {
    while (!this.#closed) {
      try {
        const nats = await connect(this.#options);
        if (this.#closed) {
          await nats.close();
          return;
        }
        this.#established(nats);
        return;
      } catch (error) {
        this.#failed(error as Error);
        await new Promise<void>((resolve) => this.#deps.clock.after(FIRST_RETRY_MS, resolve));
      }
    }
  }

  #failed(error: Error & { code?: string }): void {
    if (this.#closed) return;
    const why = reason(error);
    const advice = ADVICE.find(([said]) => said.test(why))?.[1] ?? '';
    const { log, suppressed } = this.#throttle.admit(why);
    if (log) {
      const { servers } = this.#options;
      this.#deps.logger.warn({ servers, why, advice, suppressed }, 'NATS cannot be reached; it is tried again');
    }
    const failure = { why, advice, refused: REFUSED.has(error.code ?? '') || NOT_TRUSTED.test(why) };
    for (const fn of [...this.#outcomes]) fn(failure);
  }

  #established(nats: NatsConnection): void {
    this.#nats = nats;
    for (const subscribed of this.#subscribed) this.#subscribe(nats, subscribed);
    void this.#follow(nats);
    void nats.closed().then(() => {
      if (this.#closed || this.#nats !== nats) return;
      // The library has given up, which it was told not to.
      this.#lost('the connection was closed');
      this.#nats = null;
      void this.#connect();
    });
    this.#stands();
  }

  #stands(): void {
    this.#connected = true;
    this.#deps.logger.info({ server: this.#nats!.getServer() }, 'connected with NATS');
    for (const fn of [...this.#outcomes]) fn(null);
    for (const fn of [...this.#onConnect]) fn();
  }

  async #follow(nats: NatsConnection): Promise<void> {
    for await (const { type, data } of nats.status()) {
      if (this.#closed || this.#nats !== nats) return;
      if (type === Events.Disconnect) this.#lost(String(data));
      else if (type === Events.Reconnect) this.#stands();
      else if (type === Events.Error) this.#complain(String(data));
    }
  }

  #lost(server: string): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.losses++;
    this.#deps.logger.warn({ server }, 'the connection with NATS is lost; this process goes on without');
  }

  #complain(why: string): void {
    const { log, suppressed } = this.#throttle.admit(why);
    if (log) this.#deps.logger.warn({ why, suppressed }, 'trouble with NATS');
  }

  #subscribe(nats: NatsConnection, subscribed: Subscribed): void {
    const subscription = nats.subscribe(subscribed.subject, {
      callback: (error, message) => {
        if (error !== null) {
          this.#complain(reason(error));
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

/** What can be shown of an error of the library. */
export function reason(error: Error & { code?: string }): string {
  return error.code !== undefined && !error.message.includes(error.code)
    ? `${error.code}: ${error.message}`
    : error.message;
}
