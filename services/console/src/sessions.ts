import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { ApiRole } from '@spanmesh/runtime/access/api-tokens';
import type { Clock, Timer } from '@spanmesh/runtime/clock';

/** Sessions at one time; beyond it the one that was used longest ago ends. */
export const MAX_SESSIONS = 1000;
/**
 * Sessions of one user; beyond it that user's session used longest ago ends. Without tokens all sessions belong to one
 * user.
 */
export const MAX_SESSIONS_PER_USER = 32;
/** Streams that a session may have open: a page needs three. */
export const MAX_STREAMS_PER_SESSION = 32;
/** Streams of all sessions together. */
export const MAX_STREAMS = 1000;
/** Calls that a session may have open, streams included. */
export const MAX_CALLS_PER_SESSION = 96;
/** A session that was not used for this time ends, ms. */
export const SESSION_IDLE_MS = 60 * 60_000;
/** Longest life of a session, ms: after it the token is asked for again. */
export const SESSION_LIFE_MS = 12 * 60 * 60_000;
/** Random bytes of a session's id and of its CSRF token. */
const SECRET_BYTES = 32;

/** A browser that has signed in, or one of an API that asks nobody who they are. */
export interface Session {
  /** The user's name, for people; empty: the API asks nobody. */
  readonly user: string;
  readonly role: ApiRole;
  /**
   * The token that was typed. It is sent to the API with each call, so it is valid for as long as the API accepts it.
   * null: none is needed.
   */
  readonly token: string | null;
  /** The text that the page must send with each call; a page elsewhere cannot read it. */
  readonly csrf: string;
  readonly began: number;
  used: number;
  calls: number;
  streams: number;
  /** Called when the session ends: they end its open calls. */
  readonly onEnd: Set<() => void>;
}

/**
 * The sessions of browsers. Their ids are kept as hashes, so an id can neither be found by timing comparisons nor read
 * from a memory dump.
 */
export class Sessions {
  readonly #clock: Clock;
  /** Sessions by the hash of their id, the one used longest ago first. */
  readonly #sessions = new Map<string, Session>();
  /** The timer that ends each session at the end of its life, whatever it has open. */
  readonly #lives = new Map<string, Timer>();
  #streams = 0;

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Begins a session. @returns its id, for the cookie */
  begin({ user, role, token }: Pick<Session, 'user' | 'role' | 'token'>): {
    readonly id: string;
    readonly session: Session;
  } {
    this.#makeRoom(user);
    const id = randomBytes(SECRET_BYTES).toString('base64url');
    const now = this.#clock.now();
    const csrf = randomBytes(SECRET_BYTES).toString('base64url');
    const session: Session = { user, role, token, csrf, began: now, used: now, calls: 0, streams: 0, onEnd: new Set() };
    const key = keyOf(id);
    this.#sessions.set(key, session);
    // A stream without any other call beside it would otherwise go on for ever.
    this.#lives.set(
      key,
      this.#clock.after(SESSION_LIFE_MS, () => this.#end(key)),
    );
    return { id, session };
  }

  /** The session of the id in a cookie; null: there is none, or it has ended. */
  find(id: string): Session | null {
    const key = keyOf(id);
    const session = this.#sessions.get(key);
    if (session === undefined) return null;
    const now = this.#clock.now();
    // A page with an open stream is in use.
    const idle = session.streams > 0 ? 0 : now - session.used;
    if (idle >= SESSION_IDLE_MS) {
      this.#end(key);
      return null;
    }
    session.used = now;
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    return session;
  }

  end(id: string): void {
    this.#end(keyOf(id));
  }

  endAll(): void {
    for (const key of [...this.#sessions.keys()]) this.#end(key);
  }

  /** Begins a call; null: there are too many. @returns a function to call once it has ended */
  take(session: Session, isStream: boolean): (() => void) | null {
    if (session.calls >= MAX_CALLS_PER_SESSION) return null;
    if (isStream && (session.streams >= MAX_STREAMS_PER_SESSION || this.#streams >= MAX_STREAMS)) return null;
    const streams = isStream ? 1 : 0;
    session.calls++;
    session.streams += streams;
    this.#streams += streams;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      session.calls--;
      session.streams -= streams;
      this.#streams -= streams;
      session.used = this.#clock.now();
    };
  }

  #makeRoom(user: string): void {
    const own = user === '' ? [] : [...this.#sessions].filter(([, session]) => session.user === user);
    if (own.length >= MAX_SESSIONS_PER_USER) this.#end(own[0]?.[0] ?? '');
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size >= MAX_SESSIONS && oldest !== undefined) this.#end(oldest);
  }

  #end(key: string): void {
    const session = this.#sessions.get(key);
    if (session === undefined) return;
    this.#sessions.delete(key);
    this.#lives.get(key)?.cancel();
    this.#lives.delete(key);
    for (const end of [...session.onEnd]) end();
  }
}

/** Whether a request carries its session's CSRF token; takes the same time however many characters are right. */
export function showsCsrf({ csrf }: Session, shown: string | string[] | undefined): boolean {
  if (typeof shown !== 'string') return false;
  return timingSafeEqual(hash(shown), hash(csrf));
}

function keyOf(id: string): string {
  return hash(id).toString('base64');
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}
